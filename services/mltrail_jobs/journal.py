"""What jobs say in the log, as a producer of their own: each in one record, durable when the call returns."""

from __future__ import annotations

import time
from collections.abc import Sequence

from mltrail_core.errors import OutcomeUnknown
from mltrail_core.events import Event
from mltrail_core.ids import Partition, new_producer_id
from mltrail_core.log import EventLog, NewRecord
from mltrail_core.record import Actor, Record, freeze_record

JOBS_ACTOR = Actor("mltrail-jobs")
_REPEAT_BOUND_S = 10.0
_PAUSE_S = 0.05


class Journal:
    """One job's way to append; for one thread."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._producer = new_producer_id()
        self._sequences: dict[Partition, int] = {}

    def append(self, partition: Partition, events: Sequence[Event]) -> None:
        """Return once the events are durable, as one record.

        Raises:
            Unavailable: they are not, or (`OutcomeUnknown`) nobody knows. The job is to be run again: what it says is
                such that it can be said twice.
        """
        sequence = self._sequences.get(partition, 0) + 1
        self._sequences[partition] = sequence
        record = Record(partition, self._producer, sequence, JOBS_ACTOR, tuple(events))
        new = [NewRecord(partition, freeze_record(record))]
        give_up = time.monotonic() + _REPEAT_BOUND_S
        while True:
            try:
                self._log.append(new)
            except OutcomeUnknown:
                if time.monotonic() > give_up:
                    raise
                time.sleep(_PAUSE_S)
            else:
                return
