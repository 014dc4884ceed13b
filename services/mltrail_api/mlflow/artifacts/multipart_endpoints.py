"""Proxied multipart uploads: the server begins and completes them, the parts go from the client straight to the store.

What was completed is shown at once and hashed by a job; see docs/decisions/0010-uploads-past-the-server.md.
"""

from __future__ import annotations

import ntpath
import posixpath
import re

from mltrail_api.mlflow.artifacts.paths import writable_path
from mltrail_api.mlflow.artifacts.places import Place, find_place
from mltrail_api.mlflow.artifacts.requests import (
    AbortMultipartUpload,
    CompleteMultipartUpload,
    CreateMultipartUpload,
)
from mltrail_api.mlflow.artifacts.targets import find_target
from mltrail_api.mlflow.artifacts.uploads import (
    KnownUpload,
    append_uploaded,
    direct_transfer,
    note_arrivals,
    upload_at,
)
from mltrail_api.mlflow.endpoint import PENDING, Answer, Caller
from mltrail_api.services import Services
from mltrail_core.artifacts.direct import (
    MAX_UPLOAD_PARTS,
    UploadedPart,
    UploadId,
    new_upload_id,
    parse_upload_id,
)
from mltrail_core.clock import now_us
from mltrail_core.errors import Invalid, NotFound, Unavailable
from mltrail_core.events import ArtifactUploadAbandoned, ArtifactUploadBegan
from mltrail_core.events.artifact_upload import MULTIPART

PARTS_LAST_S = 24 * 3600
"""How long the URLs of parts can be used: a slow line takes hours for a large file."""
_PURPOSE = "Multipart upload"
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_KEY = re.compile(r"[!-~]{1,1024}")


async def create(services: Services, request: CreateMultipartUpload, caller: Caller) -> Answer:
    """Begin an upload and answer its id with a URL for each part."""
    path = _path(request.directory, request.path)
    direct = direct_transfer(services, _PURPOSE)
    count = request.num_parts
    if not 0 <= count <= MAX_UPLOAD_PARTS:
        raise Invalid(f"num_parts is {count}; expected 0 to {MAX_UPLOAD_PARTS:,}, so send larger parts")
    target = await find_target(services, path)
    place, upload_id, at_us = target.place, new_upload_id(), now_us()
    began = ArtifactUploadBegan(at_us, place.owner, place.path, upload_id, MULTIPART, at_us + PARTS_LAST_S * 1_000_000)
    written = await services.appender.append(place.partition, [began], caller.actor(target.user))
    is_decided = await services.visibility.outcome(written)
    key = await services.visibility.run(lambda: direct.begin_multipart(upload_id))
    urls = await services.visibility.run(lambda: direct.sign_parts(upload_id, key, count, PARTS_LAST_S))
    credentials = [
        {"url": signed.url, "part_number": number, "headers": dict(signed.headers)}
        for number, signed in enumerate(urls, 1)
    ]
    body = {"upload_id": f"{upload_id}.{key}", "credentials": credentials}
    return Answer(body, {} if is_decided else PENDING)


async def complete(services: Services, request: CompleteMultipartUpload, caller: Caller) -> Answer:
    """Let the store put the parts together, and show the file; repeating it changes nothing."""
    path = _path(request.directory, request.path)
    direct = direct_transfer(services, _PURPOSE)
    upload_id, key = _ids(request.upload_id)
    parts = [UploadedPart(part.part_number, part.etag) for part in request.parts]
    target = await find_target(services, path)
    place = target.place
    upload = await _known_upload(services, place, upload_id)
    if upload.state in ("uploaded", "verified"):
        return Answer()  # the answer to an earlier call was lost
    await services.visibility.run(lambda: direct.complete_multipart(upload_id, key, parts))
    found = await services.visibility.run(lambda: direct.stat_upload(upload_id))
    await note_arrivals(services, place)
    is_decided = await append_uploaded(services, place, upload_id, found, caller.actor(target.user))
    if not is_decided and now_us() > upload.expires_us:
        # A job may have given it up by now; before its URLs ended none does, so then nothing stands in the way.
        raise Unavailable(f"upload {upload_id} is old, and the projector is late to say if it still counts; ask again")
    return Answer(headers={} if is_decided else PENDING)


async def abort(services: Services, request: AbortMultipartUpload, caller: Caller) -> Answer:
    """Give an upload up and remove its parts; repeating it changes nothing. Of a deleted run, too."""
    path = _path(request.directory, request.path)
    direct = direct_transfer(services, _PURPOSE)
    upload_id, _ = _ids(request.upload_id)
    place = await find_place(services, path)
    upload = await _known_upload(services, place, upload_id, may_be_abandoned=True)
    user = (await services.run_states.known(place.owner)).user if place.is_run else None
    abandoned = ArtifactUploadAbandoned(now_us(), place.owner, place.path, upload.upload_id)
    written = await services.appender.append(place.partition, [abandoned], caller.actor(user))
    if not await services.visibility.outcome(written):
        return Answer(headers=PENDING)  # a job removes the parts
    await services.visibility.run(lambda: direct.discard(upload_id))
    return Answer()


async def _known_upload(
    services: Services, place: Place, upload_id: UploadId, *, may_be_abandoned: bool = False
) -> KnownUpload:
    seen = await services.visibility.read(lambda connection: upload_at(connection, place, upload_id), place.freshness)
    if seen.value is None:
        raise seen.absence(f"No upload {upload_id} to '{place.path[:300]}' is under way")
    if seen.value.state == "abandoned" and not may_be_abandoned:
        raise NotFound(f"Upload {upload_id} was aborted or given up; upload the file again")
    return seen.value


def _path(directory: str, local_file: str) -> str:
    """Return the proxy's path: the directory in the URL and the name of the client's file, whatever its system."""
    name = (ntpath if _WINDOWS_PATH.match(local_file) else posixpath).basename(local_file)
    if not name:
        raise Invalid(f"path is {local_file[:300]!r}; expected the path of a file")
    return writable_path(posixpath.join(directory, name))


def _ids(text: str) -> tuple[UploadId, str]:
    """Return our id of an upload and the store's key of it, of which `create` has made one."""
    upload_id, _, key = text.partition(".")
    if not _KEY.fullmatch(key):
        raise Invalid(f"upload_id is {text[:100]!r}; expected what `mpu/create` answered")
    return parse_upload_id(upload_id), key
