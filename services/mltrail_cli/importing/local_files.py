"""Artifacts that lie in folders: where a URI of MLflow's points to, what is below it, and the bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mltrail_cli.importing.source import FilesUnreachable, SourceFile

_CHUNK_BYTES = 1 << 20


def folder_of(uri: str, artifacts_root: Path | None, working_folder: Path) -> Path:
    """Return the folder that an artifact URI names.

    Args:
        uri: a path, a `file:` URI, or `mlflow-artifacts:/…`, which is looked for below `artifacts_root`.
        artifacts_root: what `mlflow server` was given as `--artifacts-destination`.
        working_folder: what relative paths start from.

    Raises:
        FilesUnreachable: the URI names no folder here.
    """
    parts = urlsplit(uri)
    match parts.scheme:
        case "":
            return working_folder / uri
        case "file":
            return Path(unquote(parts.path))
        case "mlflow-artifacts" if artifacts_root is not None:
            return artifacts_root / unquote(parts.path).lstrip("/")
        case "mlflow-artifacts":
            raise FilesUnreachable(f"{uri} lies with an MLflow server: name its folder with --artifacts-root DIR")
        case scheme:
            raise FilesUnreachable(f"{uri}: {scheme} can't be read from here; import from the server's http:// URL")


def files_below(folder: Path) -> Iterator[SourceFile]:
    """Yield every file below a folder, in order of path; a folder that is not there has none."""
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.is_file():
            yield SourceFile(path.relative_to(folder).as_posix(), path.stat().st_size)


def bytes_of(path: Path) -> Iterator[bytes]:
    """Stream a file.

    Raises:
        FilesUnreachable: it can't be read.
    """
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise FilesUnreachable(f"{path} can't be read: {error.strerror}") from error
