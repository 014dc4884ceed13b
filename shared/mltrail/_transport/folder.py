"""No server: the folder's own log and artifact store, which a server may open at any time, also at the same time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mltrail_core.artifacts import Blob, open_artifact_store
from mltrail_core.log import NewRecord, open_log
from mltrail_core.log.genesis import ensure_begun

_READ_BYTES = 1 << 20


class FolderTransport:
    """A `Transport` into `folder/log` and `folder/artifacts`."""

    def __init__(self, folder: Path) -> None:
        self._log = open_log(str(folder / "log"))
        ensure_begun(self._log)
        self._store = open_artifact_store(str(folder / "artifacts"))

    def append(self, records: Sequence[NewRecord]) -> None:
        self._log.append(records)

    def store(self, file: Path) -> Blob:
        return self._store.put(_chunks(file))

    def close(self) -> None:
        self._log.close()
        self._store.close()


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while chunk := opened.read(_READ_BYTES):
            yield chunk
