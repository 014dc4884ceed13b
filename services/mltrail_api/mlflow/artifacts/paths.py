"""Which artifact paths are taken, and what their files are called and typed in answers, as in MLflow."""

from __future__ import annotations

import mimetypes
import posixpath
import re
import unicodedata
from urllib.parse import quote, unquote

from mltrail_core.errors import Invalid
from mltrail_core.rules import MAX_PATH_BYTES, path_fault

_SHOWN_CHARACTERS = 200
_TEXT_EXTENSIONS = frozenset(
    re.findall(
        r"\w+",
        "txt log err cfg conf cnf cf ini properties prop hocon toml yaml yml xml json js py py3 csv tsv md rst ipynb "
        "MLmodel MLproject",
    )
)
"""What MLflow serves as plain text (`mlflow.utils.mime_type_utils`)."""


def readable_path(path: str) -> str:
    """Return a path that a reader named, without slashes at its end; "" is the root.

    Raises:
        Invalid: it leads out of the root, as it is or once it is percent-decoded further, or is not clean.
    """
    path = path.rstrip("/") if path.strip("/") or not path else path
    if path in ("", "."):
        return ""
    _refuse(path)
    return path


def writable_path(path: str) -> str:
    """Return a path that a writer named.

    Raises:
        Invalid: as `readable_path`, or it is empty or holds what the client refuses in a listing.
    """
    _refuse(path)
    if "#" in path:
        # One such file in a directory and MLflow's client could not list it: it refuses the whole answer.
        raise Invalid(f"Invalid path {_shown(path)}: it holds a '#', which MLflow's client refuses; rename the file")
    return path


def media_type_of(path: str) -> str:
    """Return the media type that MLflow gives a file of this name."""
    name = posixpath.basename(path)
    extension = posixpath.splitext(name)[1].removeprefix(".") or name
    if extension in _TEXT_EXTENSIONS:
        return "text/plain"
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def attachment_headers(path: str) -> dict[str, str]:
    """Return headers that make browsers save the file under its name, never show it on this server's origin."""
    name = posixpath.basename(path)
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^ !#$&()+,\-.\w^{}~]", "_", plain, flags=re.ASCII) or "download"
    disposition = f'attachment; filename="{plain}"'
    if plain != name:
        disposition += f"; filename*=UTF-8''{quote(name, safe='')}"
    return {"Content-Disposition": disposition, "X-Content-Type-Options": "nosniff"}


def _refuse(path: str) -> None:
    fault = path_fault(path)
    if fault is None:
        # Stock decodes until nothing changes before it looks; what is kept here is the path as the client meant it.
        decoded = unquote(path)
        while decoded != path and fault is None:
            path, decoded = decoded, unquote(decoded)
            if "\0" in path or "\\" in path or not {"", ".."}.isdisjoint(path.rstrip("/").split("/")):
                fault = f"percent-decoded it is {path!r}, which leads out of the root"
    if fault is not None:
        raise Invalid(f"Invalid path {_shown(path)}: {fault[: MAX_PATH_BYTES + 200]}; name a relative path")


def _shown(path: str) -> str:
    return repr(path if len(path) <= _SHOWN_CHARACTERS else path[:_SHOWN_CHARACTERS] + "…")
