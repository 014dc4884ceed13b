"""Artifacts on their way: a file is copied when the call is made, and its copy is stored in the background."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mltrail._arguments import checked_path
from mltrail._background import Task
from mltrail._stream import Sized, Stream, Upload
from mltrail._transport import Transport
from mltrail_core.artifacts import Blob
from mltrail_core.clock import now_us
from mltrail_core.errors import Rejected, Unavailable
from mltrail_core.events import ArtifactStored

if TYPE_CHECKING:  # it loads sqlite3, which `import mltrail` should not wait for
    from mltrail._spool import Spool

_FULL_BUFFER_PAUSE_S = 1.0


def upload_task(
    spool: Spool,
    stream: Stream,
    file: Path,
    path: str,
    transport: Callable[[], Transport],
    say: Callable[[Sized], bool],
) -> tuple[Upload, Task]:
    """Copy `file` into the spool; return what it must not forget, and the task that stores the copy and says so.

    Raises:
        OSError: the file can't be read, or the disk is full.
        Unavailable: there is no place for a spool.
    """
    upload, copy = spool.copy(stream.run_id, file, path)

    def attempt() -> None:
        try:
            blob = transport().store(copy)
        except (Rejected, OSError):
            spool.forget(upload)
            raise
        if not say(stored_event(upload, blob)):
            raise Unavailable("the buffer is full", retry_after_s=_FULL_BUFFER_PAUSE_S)

    return upload, Task(stream, f"artifact {path!r} of run {stream.run_id}", attempt, outlives_run=True)


def stored_event(upload: Upload, blob: Blob) -> Sized:
    """Return the event that says where an upload's bytes are."""
    path = upload.path
    media_type = mimetypes.guess_type(path)[0]
    event = ArtifactStored(now_us(), upload.run_id, path, blob.size_bytes, blob.sha256, media_type)
    return Sized(event, 200 + 4 * len(path), upload=upload.name)


def files_below(source: Path, artifact_path: str | None) -> Iterator[tuple[Path, str]]:
    """Yield each file and the path that it gets in the run: one for a file, all below for a folder.

    Raises:
        ValueError: there is no such file or folder, or a name can't be the path of an artifact.
    """
    prefix = "" if artifact_path is None else artifact_path.rstrip("/") + "/"
    if source.is_file():
        yield source, checked_path(prefix + source.name)
        return
    if not source.is_dir():
        raise ValueError(f"there is no file or folder {str(source)!r} (looked for from {os.getcwd()!r})")
    for folder, names, files in os.walk(source):
        names.sort()
        for name in sorted(files):
            file = Path(folder, name)
            if file.is_file():  # sockets and broken links hold nothing to keep
                yield file, checked_path(prefix + file.relative_to(source).as_posix())
