"""Artifacts on their way: a file is copied when the call is made, and its copy is stored in the background."""

from __future__ import annotations

import mimetypes
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from mltrail._arguments import checked_path
from mltrail._background import Task
from mltrail._stream import Sized, Stream
from mltrail._transport import Transport
from mltrail_core.clock import now_us
from mltrail_core.events import ArtifactStored


class Uploads:
    """Makes the copies in a folder of this process, and the tasks that store them."""

    def __init__(self, transport: Callable[[], Transport], say: Callable[[Stream, Sized], object]) -> None:
        self._transport = transport
        self._say = say
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._folder: Path | None = None

    def begin_again_in_child(self) -> None:
        """Leave the parent's copies to the parent."""
        self._begin()

    def task(self, stream: Stream, file: Path, path: str) -> Task:
        """Copy `file` and return the task that stores the copy and says so to `path` of the stream's run.

        The copy is a real one: a hard link would change with the file.

        Raises:
            OSError: the file can't be read, or the temporary folder is full.
        """
        copy = self._copies() / uuid.uuid4().hex
        try:
            shutil.copyfile(file, copy)
        except BaseException:
            copy.unlink(missing_ok=True)
            raise

        def attempt() -> None:
            blob = self._transport().store(copy)
            media_type = mimetypes.guess_type(path)[0]
            event = ArtifactStored(now_us(), stream.run_id, path, blob.size_bytes, blob.sha256, media_type)
            self._say(stream, Sized(event, 200 + 4 * len(path)))

        return Task(stream, f"artifact {path!r} of run {stream.run_id}", attempt, lambda: copy.unlink(missing_ok=True))

    def close(self) -> None:
        """Remove the folder and all copies in it."""
        with self._lock:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None

    def _copies(self) -> Path:
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="mltrail-"))
            return self._folder


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
