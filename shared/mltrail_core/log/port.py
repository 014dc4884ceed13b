"""The port `EventLog`, and the values that pass through it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from mltrail_core.ids import Partition
from mltrail_core.record import FrozenRecord

Durability = Literal["fsync", "memory"]
"""What an acknowledged append has survived: `fsync` a power cut, `memory` only the end of the appending process."""

Positions = Mapping[Partition, int]
"""An index for each partition; a partition that is absent stands at 0, before its first record."""


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """What is written once, when a log begins, and copied with it."""

    log_id: str
    format_version: int
    partition_count: int
    created_us: int


@dataclass(frozen=True, slots=True)
class NewRecord:
    """Frozen bytes on their way to a partition."""

    partition: Partition
    frozen: FrozenRecord


@dataclass(frozen=True, slots=True)
class Appended:
    """Where the log put a record. Indices of a partition are contiguous from 1; `appended_us` never decreases."""

    partition: Partition
    index: int
    appended_us: int


@dataclass(frozen=True, slots=True)
class LogEntry:
    """Frozen bytes at their place in the log."""

    partition: Partition
    index: int
    appended_us: int
    frozen: FrozenRecord


class EventLog(Protocol):
    """An append-only log of frozen records in `PARTITIONS`. Safe to use from many threads and many processes."""

    @property
    def identity(self) -> LogIdentity:
        """What was written when the log began."""

    @property
    def url(self) -> str:
        """Where the log is, without a password."""

    @property
    def durability(self) -> Durability:
        """The level that really holds, as last asked of the server or set on the file."""

    def append(self, records: Sequence[NewRecord]) -> list[Appended]:
        """Append the records, each atomically, and return where they are, in the same order.

        When this returns, all are as durable as `durability` says. Appending does not look for duplicates: repeating
        an append is harmless, since the fold drops what it has seen.

        Raises:
            LogFull: nothing was appended; the log is past a low-water mark.
            OutcomeUnknown: some may have been appended; repeat the same records.
            Unavailable: nothing was appended; the log can't be reached.
        """

    def read(
        self, partition: Partition, *, after: int, max_records: int = 1000, max_bytes: int = 16 << 20
    ) -> list[LogEntry]:
        """Return the entries that follow index `after`, in order; fewer than asked when a limit is met, [] at the head.

        At least one entry is returned when there is one, whatever its size.

        Raises:
            Unavailable: the log can't be reached.
        """

    def heads(self) -> Positions:
        """Return the index of the last record of every partition (0 for an empty one).

        Raises:
            Unavailable: the log can't be reached.
        """

    def wait(self, positions: Positions, *, timeout_s: float) -> bool:
        """Return True as soon as a partition holds a record past its position, False when `timeout_s` have passed.

        Raises:
            Unavailable: the log can't be reached.
        """

    def look_now(self) -> None:
        """Make every `wait` under way in this process look at once: somebody knows of an append by another process."""

    def publish(self, key: str, value: str) -> None:
        """Keep a word for others who open the log (such as the address of the API); not part of the log's truth."""

    def published(self, key: str) -> str | None:
        """Return what was last published under `key`, or None."""

    def import_entries(self, entries: Sequence[LogEntry]) -> None:
        """Append copied entries at their own indices and times; only for a log that is being filled by a copy.

        Raises:
            Conflict: an entry does not follow its partition's head.
        """

    def close(self) -> None:
        """Release files and connections. The log must not be used afterwards."""
