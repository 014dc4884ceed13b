"""URLs by which clients bring a file to the store and fetch one from it, past the server."""

from __future__ import annotations

from mltrail_api.mlflow.artifacts.paths import attachment_headers, media_type_of, readable_path, writable_path
from mltrail_api.mlflow.artifacts.places import Place, find_place, path_of_uri
from mltrail_api.mlflow.artifacts.queries import StoredFile, run_artifact_uri
from mltrail_api.mlflow.artifacts.requests import (
    CreatePresignedDownloadUrl,
    CreatePresignedUploadUrl,
    GetPresignedDownloadUrl,
)
from mltrail_api.mlflow.artifacts.targets import shown_file, target_at
from mltrail_api.mlflow.artifacts.uploads import direct_transfer
from mltrail_api.mlflow.endpoint import PENDING, Answer, Caller
from mltrail_api.mlflow.logged_models.endpoints import known_model, model_not_found
from mltrail_api.services import Services
from mltrail_api.visibility import EVENTUAL
from mltrail_core.artifacts import DirectTransfer
from mltrail_core.artifacts.direct import SavedAs, SignedUrl, UploadId, new_upload_id
from mltrail_core.clock import now_us
from mltrail_core.errors import Invalid, NotFound, Unsupported
from mltrail_core.events import ArtifactUploadBegan
from mltrail_core.events.artifact_upload import PUT

DOWNLOADS_LAST_S = 300
"""As in MLflow; its client asks anew when one has ended."""
MAX_LASTS_S = 7 * 24 * 3600
"""Of S3."""
UNVERIFIED_LASTS_S = 3600
"""The longest that a URL of an upload lasts that is not hashed yet: it moves when it is."""


async def create_upload_url(services: Services, request: CreatePresignedUploadUrl, caller: Caller) -> Answer:
    """Answer a URL to PUT a file to; it is an artifact as soon as somebody looks, or a job does."""
    if bool(request.run_id) == bool(request.model_id):
        raise Invalid("Exactly one of run_id and model_id must be provided.")
    path, lasts_s = writable_path(request.path), _lasting(request.expiration)
    if request.run_id:
        place, uri = await _run_place(services, request.run_id, path)
    else:
        place, uri = await _model_place(services, request.model_id, path)
    direct = _direct_of(services, "Presigned upload", uri)
    target = await target_at(services, place)
    upload_id, at_us = new_upload_id(), now_us()
    began = ArtifactUploadBegan(at_us, place.owner, path, upload_id, PUT, at_us + lasts_s * 1_000_000)
    written = await services.appender.append(place.partition, [began], caller.actor(target.user))
    is_decided = await services.visibility.outcome(written)
    signed = await services.visibility.run(lambda: direct.sign_put(upload_id, media_type_of(path), lasts_s))
    return Answer({"presigned_url": signed.url, "headers": dict(signed.headers)}, {} if is_decided else PENDING)


async def create_download_url(services: Services, request: CreatePresignedDownloadUrl, caller: Caller) -> Answer:
    """Answer a URL to GET a file of a run from."""
    lasts_s = _lasting(request.expiration)
    place, uri = await _run_place(services, request.run_id, readable_path(request.path))
    direct = _direct_of(services, "Presigned download", uri)
    signed, size_bytes = await _sign(services, direct, place, lasts_s, caller)
    return Answer({"presigned_url": signed.url, "headers": dict(signed.headers), "file_size": size_bytes})


async def get_download_url(services: Services, request: GetPresignedDownloadUrl, caller: Caller) -> Answer:
    """Answer a URL to GET any file of the proxy from, in ranges: what the client's multipart download asks."""
    path = readable_path(request.path)
    direct = direct_transfer(services, "Multipart download")
    place = await find_place(services, path)
    signed, size_bytes = await _sign(services, direct, place, DOWNLOADS_LAST_S, caller)
    return Answer({"url": signed.url, "headers": dict(signed.headers), "file_size": size_bytes})


async def _sign(
    services: Services, direct: DirectTransfer, place: Place, lasts_s: int, caller: Caller
) -> tuple[SignedUrl, int]:
    file, _ = await shown_file(services, place, caller)
    if file is None:
        raise NotFound(f"No artifact at '{place.path[:300]}' of {place.owner[:300]}")
    return await services.visibility.run(lambda: _signed(direct, file, lasts_s)), file.size_bytes


def _signed(direct: DirectTransfer, file: StoredFile, lasts_s: int) -> SignedUrl:
    saved_as = SavedAs(attachment_headers(file.path)["Content-Disposition"], media_type_of(file.path))
    if file.sha256 is not None:
        return direct.sign_blob(file.sha256, saved_as, lasts_s)
    return direct.sign_upload(UploadId(file.upload_id or ""), saved_as, min(lasts_s, UNVERIFIED_LASTS_S))


async def _run_place(services: Services, run_id: str, path: str) -> tuple[Place, str]:
    await services.run_states.known(run_id)
    seen = await services.visibility.read(lambda connection: run_artifact_uri(connection, run_id), EVENTUAL)
    return Place(run_id, path, is_run=True), seen.value or ""


async def _model_place(services: Services, model_id: str, path: str) -> tuple[Place, str]:
    model = await known_model(services, model_id)
    if model.is_deleted:
        raise model_not_found(model_id)
    return Place(model_id, path), model.artifact_uri


def _direct_of(services: Services, purpose: str, uri: str) -> DirectTransfer:
    """Return how clients go past the server to artifacts at `uri`.

    Raises:
        Invalid: not at all, or the artifacts lie elsewhere; stock says so where the server is the proxy.
    """
    if path_of_uri(uri) is None:
        raise Invalid(f"{purpose} is not supported for artifacts at {uri[:300]}: this server does not keep them")
    try:
        return direct_transfer(services, purpose)
    except Unsupported as error:
        raise Invalid(f"{purpose} is not supported for proxied artifact storage: {error}") from error


def _lasting(expiration_s: int) -> int:
    if not 1 <= expiration_s <= MAX_LASTS_S:
        raise Invalid(f"expiration must be between 1 and {MAX_LASTS_S} seconds (got {expiration_s}).")
    return expiration_s
