"""What a session keeps on disk: opened when first needed, bounded, and done without, loudly, when the disk fails."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mltrail._losses import logger
from mltrail._spool.blanks import Blanks
from mltrail._spool.bounds import Bounds
from mltrail._spool.copying import copy_file
from mltrail._spool.file import About, Changes, Contents, SpoolFile
from mltrail._spool.folder import SpoolFolder
from mltrail._stream import Outgoing, Upload
from mltrail_core.errors import Invalid, Unavailable
from mltrail_core.ids import RunId

_RETRY_S = 2.0
_SHRINK_BYTES = 64 << 20
_READ_BYTES = 2 << 20

_TROUBLE = (OSError, sqlite3.Error, Invalid, Unavailable)


class Spool:
    """Written by the packing thread, read by the sending thread; copies of artifacts are made by any."""

    def __init__(
        self,
        places: Sequence[Path],
        about: Callable[[], About],
        *,
        keeps_records: bool,
        is_synchronous: bool,
        max_bytes: int,
    ) -> None:
        """Name the spool; nothing is made before something is put into it.

        Args:
            places: where a folder is tried to be made, the best place first.
            about: whose it is.
            keeps_records: False when the log itself is on this machine: then only artifacts are kept here.
            is_synchronous: `write` returns only after an fsync.
            max_bytes: of records and artifacts; past it `write` returns 0 and `copy` raises.
        """
        self._places = places
        self._about = about
        self._keeps_records = keeps_records
        self._is_synchronous = is_synchronous
        self._max_bytes = max_bytes
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._folder: SpoolFolder | None = None
        self._file: SpoolFile | None = None
        self._has_no_place = False
        self._retry_at = float("-inf")
        self._is_troubled = False
        self._owed = self._written_before = Changes(stored=(), refused=(), uploads=())
        self._bounds = Bounds(self._max_bytes)
        self._blanks = Blanks()
        self._peak_bytes = 0

    def begin_again_in_child(self) -> None:
        """Leave what is there to the parent; a folder of this process's own is made when needed."""
        if self._folder is not None:
            self._folder.release()
        self._begin()

    @property
    def path(self) -> Path | None:
        """The folder of this process; None before something was put into it."""
        return None if self._folder is None else self._folder.path

    @property
    def takes_records(self) -> bool:
        """Whether it is worth to try a `write`."""
        return self._keeps_records and not self._has_no_place and time.monotonic() >= self._retry_at

    def open(self) -> None:
        """Make the folder, if it is not there yet.

        Raises:
            Unavailable: there is no place for it.
        """
        self._opened()

    def prepare(self) -> None:
        """As `open`, so that no later call has to; where there is no place that is said, and done without."""
        try:
            folder, _ = self._opened()
        except Unavailable as error:
            self._say_trouble(error)
        else:
            self._blanks.refill(folder)

    def write(
        self,
        records: Sequence[Outgoing],
        *,
        acknowledged: int,
        refused: Sequence[tuple[int, str]],
        uploads: Sequence[Upload],
        stored: Sequence[str],
    ) -> int:
        """Keep the records and return the id of the first, the others follow it; 0 when they can't be kept now.

        All else that the arguments say (see `Changes`) is done now or with a later write. Uploads that kept records
        speak of are removed in the same transaction.
        """
        if not self._keeps_records:
            records = ()
        if self._folder is not None:
            self._blanks.refill(self._folder)
        with self._lock:
            owed = self._owed = Changes(
                (),
                max(self._owed.acknowledged, acknowledged),
                (*self._owed.refused, *refused),
                (*self._owed.uploads, *uploads),
                (*self._owed.stored, *stored),
            )
        done = [name for one in records for name in one.uploads]
        changes = replace(owed, records=records, stored=(*owed.stored, *done))
        if changes == self._written_before or self._has_no_place or time.monotonic() < self._retry_at:
            return 0
        try:
            first_id = self._written(changes, owed)
        except _TROUBLE as error:
            self._say_trouble(error)
            return 0
        with self._lock:
            self._written_before = Changes(acknowledged=owed.acknowledged)
            self._owed = Changes(acknowledged=owed.acknowledged, stored=self._owed.stored[len(owed.stored) :])
        if self._is_troubled:
            self._is_troubled = False
            logger.warning("mltrail: the spool %s can be written again", self.path)
        self._forget_copies(changes.stored)
        return first_id if changes.records else 0

    def read(self, first_id: int, last_id: int) -> list[tuple[int, Outgoing]]:
        """Return the oldest records of a range of ids, about 2 MB of them.

        Raises:
            Unavailable: they can't be read now.
        """
        assert self._file is not None
        try:
            return self._file.read(first_id, last_id, _READ_BYTES)
        except sqlite3.Error as error:
            raise Unavailable(f"the spool {self.path} can't be read: {error}") from error

    def copy(self, run_id: RunId, file: Path, path: str) -> tuple[Upload, Path]:
        """Copy an artifact into the spool; return what `write` is to be told, and the copy.

        Raises:
            OSError: the file can't be read, or the disk or the spool is full.
            Unavailable: there is no place for a spool.
        """
        folder, _ = self._opened()
        size_bytes = file.stat().st_size
        self._bounds.refuse_past(folder.path, size_bytes)
        upload = Upload(self._blanks.take(), run_id, path, size_bytes)
        copy = folder.file(upload.name)
        try:
            copy_file(file, copy)
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
        self._bounds.copied(upload.name, size_bytes)
        return upload, copy

    def forget(self, upload: Upload) -> None:
        """Let the next write remove an upload that nobody will take."""
        with self._lock:
            self._owed = replace(self._owed, stored=(*self._owed.stored, upload.name))

    def contents(self, *, are_records_settled: bool = False) -> Contents | None:
        """Return what is there; None when there is nothing, or it can't be read.

        Args:
            are_records_settled: the log has all records, so those that are there could only not be removed, such as
                when the disk is full.
        """
        if self._file is None:
            return None
        try:
            contents = self._file.contents()
            return replace(contents, record_count=0, event_count=0, point_count=0) if are_records_settled else contents
        except _TROUBLE as error:
            logger.warning("mltrail: the spool %s can't be read: %s", self.path, error)
            return None

    def close(self, *, are_records_settled: bool) -> None:
        """Remove the folder when it holds nothing more; otherwise leave it to whoever claims it. See `contents`."""
        folder, file = self._folder, self._file
        if folder is None or file is None:
            return
        contents = self.contents(are_records_settled=are_records_settled)
        file.close()
        if contents is not None and contents.is_empty:
            with contextlib.suppress(OSError):  # an empty folder does no harm; whoever claims it removes it
                folder.remove()
        else:
            self._blanks.remove(folder)
        folder.release()
        self._begin()
        self._has_no_place = True

    def _written(self, changes: Changes, owed: Changes) -> int:
        folder, file = self._opened()
        if changes.records:
            more_bytes = sum(len(one.record.frozen) for one in changes.records)
            try:
                self._bounds.refuse_past(folder.path, more_bytes)
            except OSError:
                # What the log has by now makes room. Left to a write without records, a training that never pauses
                # would find the spool full for ever.
                file.write(owed)
                self._bounds.file_bytes = file.size_bytes()
                self._forget_copies(owed.stored)
                self._bounds.refuse_past(folder.path, more_bytes)
        first_id = file.write(changes)
        size_bytes = self._bounds.file_bytes = file.size_bytes()
        self._peak_bytes = max(self._peak_bytes, size_bytes)
        if self._peak_bytes > _SHRINK_BYTES and size_bytes < _SHRINK_BYTES >> 4:
            file.shrink()
            self._peak_bytes = 0
        return first_id

    def _opened(self) -> tuple[SpoolFolder, SpoolFile]:
        folder, file = self._folder, self._file
        if folder is not None and file is not None:
            return folder, file  # without the lock: a call does not wait for a thread that was interrupted with it
        with self._lock:
            if self._folder is None or self._file is None:
                self._folder, self._file = self._made()
            return self._folder, self._file

    def _made(self) -> tuple[SpoolFolder, SpoolFile]:
        if self._has_no_place:
            raise Unavailable("there is no place for a spool")
        faults = []
        for place in self._places:
            try:
                folder = SpoolFolder.create(place)
            except (OSError, Invalid) as error:
                faults.append(f"{place}: {error}")
                continue
            file = SpoolFile(folder.database, is_synchronous=self._is_synchronous)
            try:
                file.begin(self._about())
            except (sqlite3.Error, Unavailable) as error:
                faults.append(f"{place}: {error}")
                file.close()
                folder.remove()
                continue
            if faults:
                logger.warning("mltrail: what can't be sent yet is kept in %s (%s)", place, "; ".join(faults))
            return folder, file
        self._has_no_place = True
        raise Unavailable(
            f"there is no place for a spool, so what can't be sent is kept in memory only: {'; '.join(faults)}"
        )

    def _say_trouble(self, error: Exception) -> None:
        self._retry_at = time.monotonic() + _RETRY_S
        if self._has_no_place:
            logger.warning("mltrail: %s", error)
        elif not self._is_troubled:
            self._is_troubled = True
            logger.warning(
                "mltrail: the spool %s can't be written, so what can't be sent is in memory only: %s",
                self.path,
                error,
            )

    def _forget_copies(self, names: Sequence[str]) -> None:
        for name in names:
            self._bounds.removed(name)
            if self._folder is not None:
                with contextlib.suppress(OSError):  # what stays goes with the folder
                    self._folder.file(name).unlink(missing_ok=True)
