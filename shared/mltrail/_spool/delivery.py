"""What dead processes left is sent by somebody else: `mltrail sync`, and every training that logs to the same place."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from mltrail._spool.file import About, Changes, Contents, SpoolFile
from mltrail._spool.folder import SpoolFolder
from mltrail._stream import Outgoing, Stream, Upload
from mltrail._transport import Transport
from mltrail._uploads import stored_event
from mltrail_core.errors import Conflict, Invalid, Unavailable

BATCH_RECORDS = 256
BATCH_BYTES = 2 << 20
_LAST_ID = 2**62


class DeadSpool:
    """The spool of a process that has died, held by this one. Sending it twice is harmless: its records are frozen."""

    def __init__(self, folder: SpoolFolder, file: SpoolFile, about: About) -> None:
        self._folder = folder
        self._file = file
        self.about = about
        self.given_up: list[str] = []
        """Why artifacts could not be stored, and never will be."""

    @classmethod
    def claim(cls, path: Path) -> DeadSpool | None:
        """Return the spool of a dead process; None while somebody holds it, or when it is gone or empty.

        Raises:
            Conflict: another version of mltrail wrote it, another user made it, or it is damaged.
            OSError: the folder can't be read.
        """
        folder = SpoolFolder.claim(path)
        if folder is None:
            return None
        file = SpoolFile(folder.database)
        try:
            spool = cls(folder, file, file.about())
        except sqlite3.Error as error:
            file.close()
            folder.release()
            raise Conflict(f"the spool {path} can't be read: {error}; nothing was changed in it") from error
        except BaseException:
            file.close()
            folder.release()
            raise
        return spool

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._folder.path

    def contents(self) -> Contents:
        """Return what is left."""
        return self._file.contents()

    def refusals(self) -> list[tuple[str, str]]:
        """Return run and reason of each record that no log took."""
        return self._file.refused()

    def forget_refused(self) -> None:
        """Delete the records that no log took."""
        self._file.forget_refused()

    def send_some(self, transport: Transport) -> int:
        """Send a batch of records, or store an artifact; return how many, 0 when nothing was left to do.

        Raises:
            Unavailable: try again later.
            Rejected: it is not the records' fault, somebody has to mend something.
        """
        batch = self._file.read(1, _LAST_ID, BATCH_BYTES, BATCH_RECORDS)
        if batch:
            self._send(transport, batch)
            return len(batch)
        uploads = self._file.uploads()
        if uploads:
            self._store(transport, uploads[0])
            return 1
        return 0

    def close(self) -> None:
        """Remove the spool when it holds nothing more; otherwise leave it to whoever claims it next."""
        try:
            is_empty = self._file.contents().is_empty
            self._file.close()
            if is_empty:
                self._folder.remove()
        finally:
            self._folder.release()

    def abandon_in_child(self) -> None:
        """In a forked process: leave it to the parent."""
        self._folder.release()

    def _send(self, transport: Transport, batch: Sequence[tuple[int, Outgoing]]) -> None:
        try:
            transport.append([one.record for _, one in batch])
        except Invalid as error:
            if len(batch) > 1:  # nothing was appended: find the one that is refused
                for entry in batch:
                    self._send(transport, [entry])
                return
            self._file.write(Changes(acknowledged=batch[0][0], refused=[(batch[0][0], str(error))]))
            return
        self._file.write(Changes(acknowledged=batch[-1][0]))

    def _store(self, transport: Transport, upload: Upload) -> None:
        """Store an artifact and freeze the record that says so, by a producer of its own: the dead process's producers
        have numbers that nobody else may use."""
        copy = self._folder.file(upload.name)
        try:
            blob = transport.store(copy)
        except Unavailable:
            raise
        except (Invalid, OSError) as error:
            self.given_up.append(f"artifact {upload.path!r} of run {upload.run_id}: {error}")
            self._file.write(Changes(stored=[upload.name]))
            return
        stream = Stream(upload.run_id, self.about.writer, owns_status=False)
        records = list(stream.close([stored_event(upload, blob)], None))
        self._file.write(Changes(records, stored=[upload.name]))
        copy.unlink(missing_ok=True)
