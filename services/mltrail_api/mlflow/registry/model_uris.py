"""`models:/…` URIs, as MLflow reads them (`mlflow.store.artifact.utils.models`)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from mltrail_core.errors import Invalid


@dataclass(frozen=True, slots=True)
class LoggedModelUri:
    """`models:/<model id>`."""

    model_id: str


@dataclass(frozen=True, slots=True)
class VersionUri:
    """`models:/<name>/<number>`."""

    name: str
    number: str


@dataclass(frozen=True, slots=True)
class LatestUri:
    """`models:/<name>/<stage>`, or `models:/<name>/latest`, where `stage` is None."""

    name: str
    stage: str | None


@dataclass(frozen=True, slots=True)
class AliasUri:
    """`models:/<name>@<alias>`."""

    name: str
    alias: str


ModelUri = LoggedModelUri | VersionUri | LatestUri | AliasUri


def split_uri(uri: str) -> SplitResult:
    """Return the parts of a URI; `Invalid` when it can't be taken apart (a host with one bracket, say)."""
    try:
        return urlsplit(uri, allow_fragments=False)
    except ValueError as error:
        raise Invalid(f"{uri[:300]!r} is not a URI: {error}") from error


def parse_model_uri(uri: str) -> ModelUri:
    """Return what a `models:/` URI names.

    Raises:
        Invalid: it names nothing.
    """
    path = split_uri(uri).path
    parts = path.removeprefix("/").split("/")
    if not path.startswith("/") or len(parts) > 2 or not all(part.strip() for part in parts):
        raise Invalid(
            f"Not a proper models:/ URI: {uri[:300]}. Models URIs must be of the form 'models:/model_name/suffix' or "
            "'models:/model_name@alias' where suffix is a model version, stage, or the string 'latest'."
        )
    if len(parts) == 2:
        name, suffix = parts
        if suffix.isdecimal():
            return VersionUri(name, suffix)
        return LatestUri(name, None if suffix.lower() == "latest" else suffix)
    name, at, alias = parts[0].rpartition("@")
    if at:
        if not alias.strip():
            raise Invalid(f"Not a proper models:/ URI: {uri[:300]}. There is no alias after the '@'.")
        return AliasUri(name, alias)
    return LoggedModelUri(parts[0])
