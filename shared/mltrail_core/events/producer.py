"""Events of producers: what makes "received 1..N, missing none" provable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mltrail_core.events.text import FreeText


@dataclass(frozen=True, slots=True)
class ProducerOpened:
    """Emitted by the SDK as the first event of a producer in a partition: who writes, from where, and to which run."""

    WIRE_NAME: ClassVar[str] = "producer_opened"
    occurred_us: int
    run_id: str
    host: FreeText
    process_id: int
    rank: int = 0


@dataclass(frozen=True, slots=True)
class ProducerClosed:
    """Emitted by the SDK in its last record: sequences 1..`last_sequence` are all that this producer sent to the
    record's partition. Without it the end is unknown."""

    WIRE_NAME: ClassVar[str] = "producer_closed"
    occurred_us: int
    last_sequence: int
