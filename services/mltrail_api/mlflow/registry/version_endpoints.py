"""MLflow's endpoints of model versions; the fold of `control` numbers them, so a create waits for its word."""

from __future__ import annotations

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from mltrail_api.appender import Written
from mltrail_api.mlflow.artifacts.endpoints import send_file
from mltrail_api.mlflow.artifacts.paths import readable_path
from mltrail_api.mlflow.artifacts.places import find_place, path_of_uri
from mltrail_api.mlflow.endpoint import PENDING, Answer, Caller, seen_answer
from mltrail_api.mlflow.limits import refuse
from mltrail_api.mlflow.registry.names import (
    MAX_DESCRIPTION_CHARACTERS,
    MAX_URI_CHARACTERS,
    refuse_model_name,
    registry_tags,
    version_number,
)
from mltrail_api.mlflow.registry.queries import VersionView, load_version, load_version_at
from mltrail_api.mlflow.registry.requests import CreateModelVersion, GetModelVersionFile, ModelVersionByNumber
from mltrail_api.mlflow.registry.sources import resolve_source
from mltrail_api.mlflow.registry.view import version_json
from mltrail_api.mlflow.wire import fields_of_query, parse_message
from mltrail_api.services import Services
from mltrail_api.visibility import CONTROL_ONLY, EVENTUAL, Seen
from mltrail_core.clock import now_us
from mltrail_core.errors import Invalid, NotFound
from mltrail_core.events import ModelVersionCreated
from mltrail_core.ids import CONTROL
from mltrail_core.record import decode_record
from mltrail_core.registry_rules import STAGE_NONE
from mltrail_core.rules import text_fault

_NUMBER_BOUND_S = 10.0
"""How much longer than others a create waits for the projector: without its number a version is of no use."""
_REPEATS_WITHIN_RECORDS = 5_000
"""How far before a repeated record its first copy is looked for: `control` gets far fewer meanwhile."""


async def create(services: Services, request: CreateModelVersion, caller: Caller) -> Answer:
    """Make the next version of a registered model and answer it with its number."""
    name = request.name
    refuse_model_name(name)
    refuse(text_fault("source", request.source, MAX_URI_CHARACTERS))
    refuse(text_fault("run_link", request.run_link, MAX_URI_CHARACTERS))
    refuse(text_fault("description", request.description or "", MAX_DESCRIPTION_CHARACTERS))
    tags = tuple(registry_tags(request.tags).items())
    source = await resolve_source(services, request)
    created = ModelVersionCreated(
        now_us(),
        name,
        source.uri,
        source.storage_location,
        source.run_id,
        request.run_link or None,
        source.model_id,
        request.description or "",  # as stock keeps it
        tags,
    )
    actor = caller.actor()
    written = await services.appender.append(CONTROL, [created], actor)
    try:
        is_projected = await services.visibility.outcome(written)
        if not is_projected and await services.visibility.wait_until(
            {CONTROL: written.appended.index}, _NUMBER_BOUND_S
        ):
            is_projected = await services.visibility.outcome(written)
    except NotFound as error:
        raise NotFound(f"Registered Model with name={name} not found") from error
    if is_projected:
        return Answer({"model_version": version_json(await _created(services, name, written))})
    appended_us = written.appended.appended_us
    # It is durable and will get its number; MLflow's word for that keeps the client from sending it again.
    unnumbered = VersionView(
        name=name,
        number=0,
        source=source.uri,
        storage_location=source.storage_location,
        run_id=source.run_id,
        run_link=request.run_link or None,
        model_id=source.model_id,
        description=request.description or "",
        stage=STAGE_NONE,
        status="PENDING_REGISTRATION",
        user=actor.name,
        created_us=appended_us,
        updated_us=appended_us,
        tags=tags,
    )
    return Answer({"model_version": version_json(unnumbered)}, PENDING)


async def get(services: Services, request: ModelVersionByNumber, caller: Caller) -> Answer:
    """Answer a version with its tags."""
    seen = await _read(services, request.name, request.version, caller)
    return seen_answer(seen, {"model_version": version_json(seen.value)})


async def get_download_uri(services: Services, request: ModelVersionByNumber, caller: Caller) -> Answer:
    """Answer where the bytes of a version are."""
    seen = await _read(services, request.name, request.version, caller)
    return seen_answer(seen, {"artifact_uri": seen.value.storage_location})


async def get_file(services: Services, request: Request, caller: Caller) -> Response:
    """Stream a file of a version, as pages link to it."""
    wanted = parse_message(GetModelVersionFile, fields_of_query(request.scope["query_string"], GetModelVersionFile))
    path = readable_path(wanted.path)
    version = (await _read(services, wanted.name, wanted.version, caller)).value
    root = path_of_uri(version.storage_location)
    if root is None:
        raise Invalid(f"The files of this version are at {version.storage_location}, not on this server; go there")
    return await send_file(services, request, await find_place(services, f"{root}/{path}"), caller)


async def _read(services: Services, name: str, number: str, caller: Caller) -> Seen[VersionView]:
    refuse_model_name(name)
    wanted = version_number(number)
    seen = await services.visibility.read(lambda c: load_version(c, name, wanted), caller.asks_for(CONTROL_ONLY))
    if seen.value is None:
        raise seen.absence(f"Model Version (name={name}, version={number[:300]}) not found")
    return Seen(seen.value, seen.is_current, seen.is_behind)


async def _created(services: Services, name: str, written: Written) -> VersionView:
    """Return the version that a record made whose events the fold has accepted."""

    def query(connection: Connection) -> VersionView | None:
        return load_version_at(connection, name, index)

    index = written.appended.index
    found = (await services.visibility.read(query, EVENTUAL)).value
    if found is None and written.may_be_twice:
        # The fold took the first of the equal records, and this index is that of one it dropped.
        index = await services.visibility.run(lambda: _first_index(services, written))
        found = (await services.visibility.read(query, EVENTUAL)).value
    assert found is not None, f"record {index} of control was accepted and made no version of {name!r}"
    return found


def _first_index(services: Services, written: Written) -> int:
    after = max(0, written.appended.index - _REPEATS_WITHIN_RECORDS)
    while after < written.appended.index:
        for entry in services.log.read(CONTROL, after=after):
            record = decode_record(entry.frozen)
            if (record.producer, record.sequence) == (written.producer, written.sequence):
                return entry.index
            after = entry.index
    return written.appended.index
