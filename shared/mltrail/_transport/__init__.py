"""Transports: how frozen records and the bytes of artifacts reach the log and the store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from mltrail._settings import Destination
from mltrail_core.artifacts import Blob
from mltrail_core.log import NewRecord

__all__ = ["Transport", "open_transport"]


class Transport(Protocol):
    """Used by the sending thread (`append`) and the background thread (`store`) at once."""

    def append(self, records: Sequence[NewRecord]) -> None:
        """Return once the log has acknowledged all records; repeating them is harmless.

        Raises:
            Invalid: nothing was appended, since a record is not valid.
            Rejected: nothing was appended, and it is not the records' fault.
            Unavailable: repeat the same records later.
        """

    def store(self, file: Path) -> Blob:
        """Return once the file's bytes are durable in the artifact store.

        Raises:
            Rejected: the store does not take them.
            Unavailable: repeat later.
            OSError: the file can't be read.
        """

    def close(self) -> None:
        """Release files and connections."""


def open_transport(destination: Destination) -> Transport:
    """Return the transport that `destination` needs; servers are first reached when something is sent.

    Raises:
        Invalid: the folder can't hold a log.
        Unavailable: the folder can't be used.
    """
    # Imported when needed: a trainer loads one of them, and `import mltrail` none.
    if destination.kind != "folder":
        import encodings.idna  # noqa: F401 else loaded by the first look-up of a host, which made calls wait for 8 ms
    if destination.kind == "http":
        from mltrail._transport.http import HttpTransport

        return HttpTransport(destination.address, destination.token)
    if destination.kind == "redis":
        from mltrail._transport.redis import RedisTransport

        return RedisTransport(destination.address, destination.token)
    from mltrail._transport.folder import FolderTransport

    return FolderTransport(Path(destination.address))
