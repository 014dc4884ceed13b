"""Where a new model version comes from: a source that its run or logged model really contains.

Follows `mlflow.server.handlers._create_model_version`: whoever may register must not point a version at other people's
files through a run they name, and a `models:/` source is looked up once, so that the version keeps its bytes.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import assert_never
from urllib.parse import unquote, unquote_plus

from mltrail_api.mlflow.artifacts.queries import run_artifact_uri
from mltrail_api.mlflow.logged_models.queries import ModelView, load_model
from mltrail_api.mlflow.registry.alias_endpoints import version_of_alias
from mltrail_api.mlflow.registry.model_uris import (
    AliasUri,
    LatestUri,
    LoggedModelUri,
    VersionUri,
    parse_model_uri,
    split_uri,
)
from mltrail_api.mlflow.registry.names import stage_named, version_number
from mltrail_api.mlflow.registry.queries import VersionView, load_registered_model, load_version
from mltrail_api.mlflow.registry.requests import CreateModelVersion
from mltrail_api.services import Services
from mltrail_api.visibility import CONTROL_ONLY, EVENTUAL, freshness_of
from mltrail_core.errors import Invalid, NotFound

_PROXY_ROUTE = ("api", "2.0", "mlflow-artifacts", "artifacts")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a version comes from and where its bytes are."""

    uri: str
    storage_location: str
    run_id: str | None
    model_id: str | None


async def resolve_source(services: Services, request: CreateModelVersion) -> Source:
    """Return the source of a version that is to be created.

    Raises:
        Invalid: the source is not within the run or logged model that the request names.
        NotFound: a `models:/` source names what is not there.
    """
    uri, run_id, model_id = request.source, request.run_id or None, request.model_id or None
    scheme = split_uri(uri).scheme
    if scheme == "models":
        if split_uri(uri).netloc:
            raise Invalid(f"Invalid model version source: '{uri}'. Registered model sources must use this registry.")
        named = parse_model_uri(uri)
        if not isinstance(named, LoggedModelUri):
            return _copied(request, await _version(services, named))
        if named.model_id != model_id:
            raise _outside(uri, "model_id")
        model = await _model(services, uri, named.model_id)
        return Source(uri, model.artifact_uri, run_id or model.source_run_id, model_id)
    if not _is_local(uri):
        _refuse_relative(uri)
    if model_id is not None:
        model = await _model(services, uri, model_id)
        if scheme == "runs" or (_is_guarded(uri) and not _is_within(uri, model.artifact_uri)):
            raise _outside(uri, "model_id")
        return Source(uri, uri, run_id or model.source_run_id, model_id)
    if scheme == "runs":
        if split_uri(uri).netloc or run_id is None or split_uri(uri).path.lstrip("/").partition("/")[0] != run_id:
            raise _outside(uri, "run_id")
    elif _is_guarded(uri):
        root = None if run_id is None else await _run_root(services, run_id)
        if root is None or not _is_within(uri, root):
            raise _outside(uri, "run_id")
    return Source(uri, uri, run_id, None)


def _copied(request: CreateModelVersion, original: VersionView) -> Source:
    """Return the source of a version that is made from another one, whose lineage it keeps."""
    for said, known in ((request.run_id, original.run_id), (request.model_id, original.model_id)):
        if said is not None and said != (known or ""):
            raise Invalid(
                f"Invalid model version source: '{request.source}'. The run_id and model_id request parameters must "
                "match the referenced model version."
            )
    uri = f"models:/{original.name}/{original.number}"
    return Source(uri, original.storage_location, original.run_id, original.model_id)


async def _version(services: Services, named: VersionUri | LatestUri | AliasUri) -> VersionView:
    match named:
        case VersionUri(name, number):
            seen = await services.visibility.read(
                lambda connection: load_version(connection, name, version_number(number)), CONTROL_ONLY
            )
            if seen.value is None:
                raise NotFound(f"Model Version (name={name}, version={number[:300]}) not found")
            return seen.value
        case LatestUri(name, stage):
            wanted = None if stage is None else stage_named(stage, services.stages)
            model = (await services.visibility.read(lambda c: load_registered_model(c, name), CONTROL_ONLY)).value
            if model is None:
                raise NotFound(f"Registered Model with name={name} not found")
            versions = [version for version in model.latest if wanted in (None, version.stage)]
            if not versions:
                raise Invalid(f"No versions of model with name '{name}' and stage '{stage}' found")
            return max(versions, key=lambda version: version.number)
        case AliasUri(name, alias):
            aliased = await services.visibility.read(
                lambda connection: (
                    load_registered_model(connection, name),
                    version_of_alias(connection, name, alias),
                ),
                CONTROL_ONLY,
            )
            if aliased.value[0] is None:
                raise NotFound(f"Registered Model with name={name} not found")
            if aliased.value[1] is None:
                raise Invalid(f"Registered model alias {alias[:300]} of '{name}' not found.")
            return aliased.value[1]
        case _:
            assert_never(named)


async def _model(services: Services, uri: str, model_id: str) -> ModelView:
    for freshness in (EVENTUAL, freshness_of(model_id)):
        seen = await services.visibility.read(lambda connection: load_model(connection, model_id), freshness)
        if seen.value is not None:
            return seen.value
    raise _outside(uri, "model_id")


async def _run_root(services: Services, run_id: str) -> str | None:
    for freshness in (EVENTUAL, freshness_of(run_id)):
        seen = await services.visibility.read(lambda connection: run_artifact_uri(connection, run_id), freshness)
        if seen.value is not None:
            break
    return seen.value


def _is_local(uri: str) -> bool:
    return split_uri(uri).scheme in ("", "file")


def _is_guarded(uri: str) -> bool:
    """Return whether a URI leads to files that this server keeps or could reach, so that a run has to vouch for it."""
    scheme, _, parts = _parts(uri)
    if scheme in ("", "file", "mlflow-artifacts"):
        return True
    width = len(_PROXY_ROUTE)
    return scheme in ("http", "https") and any(
        parts[first : first + width] == _PROXY_ROUTE for first in range(len(parts) - width + 1)
    )


def _is_within(uri: str, root: str) -> bool:
    scheme, host, parts = _parts(uri)
    root_scheme, root_host, root_parts = _parts(root)
    is_same_place = (scheme or "file", host) == (root_scheme or "file", root_host)
    return is_same_place and bool(root_parts) and ".." not in parts and parts[: len(root_parts)] == root_parts


def _parts(uri: str) -> tuple[str, str, tuple[str, ...]]:
    split = split_uri(uri)
    parts = (_decoded(part) for part in split.path.split("/") if part)
    return split.scheme.lower(), split.netloc.lower(), tuple(part for part in parts if part != ".")


def _decoded(text: str) -> str:
    while (decoded := unquote(text)) != text:
        text = decoded
    return text


def _refuse_relative(uri: str) -> None:
    decoded = uri
    while (again := unquote_plus(decoded)) != decoded:
        decoded = again
    path = re.sub(r"/+", "/", split_uri(decoded).path.rstrip("/"))
    is_clean = not path or (path.startswith("/") and posixpath.normpath(path) == path)
    if "\0" in decoded or ".." in decoded.split("/") or not is_clean:
        raise Invalid(
            f"Invalid model version source: '{uri}'. If supplying a source as an http, https, local file path, ftp, "
            "objectstore, or mlflow-artifacts uri, an absolute path must be provided without relative path references "
            "present. Please provide an absolute path."
        )


def _outside(uri: str, parameter: str) -> Invalid:
    return Invalid(
        f"Invalid model version source: '{uri}'. The {parameter} request parameter must identify the resource that "
        "contains the source."
    )
