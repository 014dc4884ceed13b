"""MLflow's artifact endpoints: bytes go to the store first, then the event that names them goes into the log."""

from __future__ import annotations

import asyncio

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from mltrail_api.mlflow.artifacts.paths import attachment_headers, media_type_of, readable_path, writable_path
from mltrail_api.mlflow.artifacts.places import Place, find_place
from mltrail_api.mlflow.artifacts.queries import files_under, listed, run_artifact_uri
from mltrail_api.mlflow.artifacts.requests import GetRunFile, ListArtifacts, ListProxied
from mltrail_api.mlflow.artifacts.targets import find_target, shown_file
from mltrail_api.mlflow.artifacts.uploads import content_of_upload, note_arrivals
from mltrail_api.mlflow.endpoint import PENDING, Answer, Caller, seen_answer
from mltrail_api.mlflow.wire import fields_of_query, parse_message
from mltrail_api.services import Services
from mltrail_api.transfer import content_of_blob, content_response, receive_blob
from mltrail_api.visibility import freshness_of
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
    await note_arrivals(services, Place(request.run_id, path, is_run=True))

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
    await note_arrivals(services, place)
    seen = await services.visibility.read(
        lambda connection: listed(connection, place.owner, place.path, ""), caller.asks_for(place.freshness)
    )
    return seen_answer(seen, {"files": seen.value})


async def upload(services: Services, request: Request, caller: Caller) -> Response:
    """Store the request's body at a path; a client that goes away in the middle leaves nothing."""
    target = await find_target(services, writable_path(request.path_params["path"]))
    place = target.place
    blob = await receive_blob(services, request.stream())
    stored = ArtifactStored(now_us(), place.owner, place.path, blob.size_bytes, blob.sha256, media_type_of(place.path))
    await note_arrivals(services, place)  # what a client brought by URL before now is older than this
    written = await services.appender.append(place.partition, [stored], caller.actor(target.user))
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
    await note_arrivals(services, place)
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

    file, is_dir = await shown_file(services, place, caller)
    if is_dir:
        raise Invalid(f"Artifact path refers to a directory, not a file: '{place.path[:300]}'; list it instead")
    if file is None:
        raise NotFound(f"No artifact at '{place.path[:300]}' of {place.owner[:300]}")
    if file.upload_id is not None:
        content = await content_of_upload(services, file.upload_id)
    else:
        content = await content_of_blob(services, file.sha256 or "")
    return await content_response(services, request, content, media_type_of(place.path), attachment_headers(place.path))


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
