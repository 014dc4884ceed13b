"""Records for tests, as a trainer would send them."""

from __future__ import annotations

from collections import defaultdict

from mltrail_core.events import Event, MetricsLogged
from mltrail_core.ids import Partition, ProducerId, partition_of
from mltrail_core.log import NewRecord
from mltrail_core.metric_block import MetricPoint, block_of_points
from mltrail_core.record import Actor, Record, freeze_record

RUN = "0123456789abcdef0123456789abcdef"
OTHER_RUN = "fedcba9876543210fedcba9876543210"


class Producing:
    """A producer that counts its sequences."""

    def __init__(self, name: str = "producer-1", actor: str = "ann") -> None:
        self.producer = ProducerId(name)
        self.actor = Actor(actor)
        self._sequences: dict[Partition, int] = defaultdict(int)

    def record(self, partition: Partition, *events: Event) -> NewRecord:
        """Return the next record of this producer for a partition."""
        self._sequences[partition] += 1
        record = Record(partition, self.producer, self._sequences[partition], self.actor, events)
        return NewRecord(partition, freeze_record(record))

    def of_run(self, *events: Event, run_id: str = RUN) -> NewRecord:
        """Return the next record for the partition of a run."""
        return self.record(partition_of(run_id), *events)


def metrics(run_id: str, key: str, *values: float, first_step: int = 0, time_us: int = 1000) -> MetricsLogged:
    """Return an event with one point a step."""
    points = [MetricPoint(key, value, first_step + n, time_us + n) for n, value in enumerate(values)]
    return block_of_points(points).to_event(run_id, time_us)
