"""Logs that fail on purpose, standing between the API and a real one."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from mltrail_core.errors import LogFull, OutcomeUnknown, Unavailable
from mltrail_core.ids import Partition
from mltrail_core.log import Appended, Durability, EventLog, LogEntry, LogIdentity, NewRecord, Positions


class FaultyLog:
    """A log that does what `inner` does, except that the next appends fail as `faults` say, first to last."""

    def __init__(self, inner: EventLog) -> None:
        self.inner = inner
        self.faults: list[str] = []
        self.groups: list[list[NewRecord]] = []
        """What each call of append was given."""
        self.may_append = threading.Event()
        """While cleared, appends wait."""
        self.may_append.set()

    @property
    def identity(self) -> LogIdentity:
        return self.inner.identity

    @property
    def url(self) -> str:
        return self.inner.url

    @property
    def durability(self) -> Durability:
        return self.inner.durability

    def append(self, records: Sequence[NewRecord]) -> list[Appended]:
        self.groups.append(list(records))
        assert self.may_append.wait(20)
        fault = self.faults.pop(0) if self.faults else ""
        match fault:
            case "full":
                raise LogFull("the disk is full", retry_after_s=30)
            case "down":
                raise Unavailable("the log can't be reached", retry_after_s=2)
            case "unknown, done":
                self.inner.append(records)
                raise OutcomeUnknown("the connection broke after the append")
            case "unknown":
                raise OutcomeUnknown("the connection broke before the append")
        return self.inner.append(records)

    def read(
        self, partition: Partition, *, after: int, max_records: int = 1000, max_bytes: int = 16 << 20
    ) -> list[LogEntry]:
        return self.inner.read(partition, after=after, max_records=max_records, max_bytes=max_bytes)

    def heads(self) -> Positions:
        return self.inner.heads()

    def wait(self, positions: Positions, *, timeout_s: float) -> bool:
        return self.inner.wait(positions, timeout_s=timeout_s)

    def look_now(self) -> None:
        self.inner.look_now()

    def publish(self, key: str, value: str) -> None:
        self.inner.publish(key, value)

    def published(self, key: str) -> str | None:
        return self.inner.published(key)

    def import_entries(self, entries: Sequence[LogEntry]) -> None:
        self.inner.import_entries(entries)

    def close(self) -> None:
        self.inner.close()
