"""MLflow's artifact endpoints: bytes go to the store first, then the event that names them goes into the log."""

from __future__ import annotations

import asyncio

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from mltrail_api.mlflow.artifacts.paths import attachment_headers, media_type_of, readable_path, writable_path
from mltrail_api.mlflow.artifacts.places import Place, find_place
from mltrail_api.mlflow.artifacts.queries import (
    file_above,
    file_at,
    files_under,
    is_directory,
    listed,
    run_artifact_uri,
)
from mltrail_api.mlflow.artifacts.requests import GetRunFile, ListArtifacts, ListProxied
from mltrail_api.mlflow.endpoint import PENDING, Answer, Caller, seen_answer
from mltrail_api.mlflow.wire import fields_of_query, parse_message
from mltrail_api.services import Services
from mltrail_api.transfer import blob_response, receive_blob
from mltrail_api.visibility import EVENTUAL, freshness_of
from mltrail_core.clock import now_us
from mltrail_core.errors import Invalid, NotFound
from mltrail_core.events import ArtifactDeleted, ArtifactStored
from mltrail_core.events.artifact import LOOSE_FILES
from mltrail_core.ids import Partition

_DELETIONS_PER_RECORD = 100
"""A path has up to 4,096 characters: so many stay well below the largest record."""


async def list_run(services: Services, request: ListArtifacts, caller: Caller) -> Answer:
    """Answer a directory of a run, with paths from the run's root."""
    path = readable_path(request.path)

    def query(connection: Connection) -> tuple[str | None, list[dict[str, object]]]:
        return run_artifact_uri(connection, request.run_id), listed(connection, request.run_id, path, path)

    seen = await services.visibility.read(query, caller.asks_for(freshness_of(request.run_id)))
    uri, files = seen.value
    if uri is None:
        raise NotFound(f"Run with id={request.run_id[:300]} not found")
    return seen_answer(seen, {"root_uri": uri, "files": files})


async def list_proxied(services: Services, request: ListProxied, caller: Caller) -> Answer:
    """Answer a directory of the proxy, with bare names."""
    place = await find_place(services, readable_path(request.path))
    seen = await services.visibility.read(
        lambda connection: listed(connection, place.owner, place.path, ""), caller.asks_for(place.freshness)
    )
    return seen_answer(seen, {"files": seen.value})


async def upload(services: Services, request: Request, caller: Caller) -> Response:
    """Store the request's body at a path; a client that goes away in the middle leaves nothing."""
    place = await find_place(services, writable_path(request.path_params["path"]))
    if not place.path:
        raise Invalid(f"{request.path_params['path']!r} is the root of its artifacts; name a file below it")
    user = (await services.run_states.writable(place.owner)).user if place.is_run else None
    await _refuse_directory(services, place)
    blob = await receive_blob(services, request.stream())
    stored = ArtifactStored(now_us(), place.owner, place.path, blob.size_bytes, blob.sha256, media_type_of(place.path))
    written = await services.appender.append(place.partition, [stored], caller.actor(user))
    headers = {} if await services.visibility.outcome(written) else PENDING
    return Response("{}", headers=headers, media_type="application/json")


async def download(services: Services, request: Request, caller: Caller) -> Response:
    """Stream the file at a path, or a range of it."""
    place = await find_place(services, readable_path(request.path_params["path"]))
    return await send_file(services, request, place, caller)


async def delete(services: Services, request: Request, caller: Caller) -> Response:
    """Show the file at a path, or the directory with all below it, no longer."""
    place = await find_place(services, readable_path(request.path_params["path"]))
    if place == Place(LOOSE_FILES, ""):
        raise Invalid("the path is empty; name the file or directory to delete")
    user = (await services.run_states.writable(place.owner)).user if place.is_run else None
    seen = await services.visibility.read(
        lambda connection: files_under(connection, place.owner, place.path), place.freshness
    )
    if not seen.value:
        raise NotFound(f"No artifact at {request.path_params['path'][:300]!r}")
    records = _deletions(place, [file.path for file in seen.value])
    appended = await asyncio.gather(
        *(services.appender.append(partition, events, caller.actor(user)) for partition, events in records)
    )
    decided = [await services.visibility.outcome(written) for written in appended]
    return Response("{}", headers={} if all(decided) else PENDING, media_type="application/json")


async def get_run_file(services: Services, request: Request, caller: Caller) -> Response:
    """Stream a file of a run (`/get-artifact`, which pages link to)."""
    wanted = parse_message(GetRunFile, fields_of_query(request.scope["query_string"], GetRunFile))
    await services.run_states.known(wanted.run_id)
    return await send_file(services, request, Place(wanted.run_id, readable_path(wanted.path), is_run=True), caller)


async def send_file(services: Services, request: Request, place: Place, caller: Caller) -> Response:
    """Return the answer that streams the file at a place as an attachment.

    Raises:
        NotFound: there is no file.
        Invalid: it is a directory.
    """

    def query(connection: Connection) -> tuple[str | None, bool]:
        file = file_at(connection, place.owner, place.path)
        return (file.sha256, False) if file else (None, is_directory(connection, place.owner, place.path))

    sha256, is_dir = (await services.visibility.read(query, caller.asks_for(place.freshness))).value
    if is_dir:
        raise Invalid(f"Artifact path refers to a directory, not a file: '{place.path[:300]}'; list it instead")
    if sha256 is None:
        raise NotFound(f"No artifact at '{place.path[:300]}' of {place.owner[:300]}")
    return await blob_response(services, request, sha256, media_type_of(place.path), attachment_headers(place.path))


async def _refuse_directory(services: Services, place: Place) -> None:
    """Keep a path from being a file and a directory at once: no client could download both."""

    def query(connection: Connection) -> tuple[str | None, bool]:
        above = file_above(connection, place.owner, place.path)
        return above, above is None and is_directory(connection, place.owner, place.path)

    above, is_dir = (await services.visibility.read(query, EVENTUAL)).value
    if above is not None:
        raise Invalid(f"'{above[:300]}' is a file, so nothing can be stored below it; choose another path")
    if is_dir:
        raise Invalid(f"'{place.path[:300]}' is a directory, so no file can take its place; choose another path")


def _deletions(place: Place, paths: list[str]) -> list[tuple[Partition, list[ArtifactDeleted]]]:
    """Return the records that delete `paths`, which all lie at or below `place`.

    A path of an owner goes with all below it, so one event does; loose files are each of their own partition.
    """
    at_us = now_us()
    if place.owner != LOOSE_FILES:
        tops = [place.path] if place.path else sorted({path.partition("/")[0] for path in paths})
        events = [ArtifactDeleted(at_us, place.owner, top) for top in tops]
        starts = range(0, len(events), _DELETIONS_PER_RECORD)
        return [(place.partition, events[start : start + _DELETIONS_PER_RECORD]) for start in starts]
    places = [Place(LOOSE_FILES, path) for path in paths]
    return [(one.partition, [ArtifactDeleted(at_us, one.owner, one.path)]) for one in places]
