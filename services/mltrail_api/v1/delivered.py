"""What arrived of what a run's producers sent, and what was rejected: what API, pages and command line tell alike."""

from __future__ import annotations

from pydantic import BaseModel
from sqlalchemy import Connection, select

from mltrail_api.search.placement import SHOWN_STATUS
from mltrail_core.errors import Unavailable
from mltrail_core.ids import partition_of
from mltrail_core.intervals import parse_intervals
from mltrail_core.liveness import Liveness
from mltrail_core.log import EventLog
from mltrail_core.readmodel.tables import positions, producers, rejections, runs


class ProducerDelivery(BaseModel):
    """What one producer sent to the run's partition, as far as it arrived.

    `intervals` are the sequences received, such as `1-41,43`. `last_sequence` is what the producer declared when it
    closed; null while the end is unknown. `missing` are the holes up to there, or up to the highest received.
    `last_seen_us` is the process's last sign of life, a heartbeat or a record.
    """

    producer: str
    partition: str
    intervals: str
    received: int
    last_sequence: int | None
    missing: str
    is_complete: bool
    host: str | None
    process_id: int | None
    rank: int | None
    opened_us: int | None
    last_appended_us: int
    last_seen_us: int


class Rejection(BaseModel):
    """An event of the run (or a whole record, `number` -1) that the fold rejected, and why."""

    partition: str
    index: int
    number: int
    wire_name: str | None
    reason: str
    message: str
    producer: str | None
    sequence: int | None
    appended_us: int


class Delivery(BaseModel):
    """Whether all that was sent to a run is there.

    `is_complete`: there are producers, and every one is complete. `status` is LOST while the run counts as lost, and
    null before its creation arrived. `last_seen_us` is the last sign of life of any of its producers; null without one.
    `unprojected_records` is how many records of the run's partition, of all runs in it, the read model has not come to.
    """

    run_id: str
    status: str | None
    last_seen_us: int | None
    projected_index: int
    unprojected_records: int = 0
    is_complete: bool
    producers: list[ProducerDelivery]
    rejections: list[Rejection]


def with_present(found: Delivery, log: EventLog, liveness: Liveness) -> Delivery:
    """Return the delivery with what log and marks say now; what can't be reached is left as the read model has it."""
    try:
        behind = log.heads()[partition_of(found.run_id)] - found.projected_index
        marks = liveness.last_seen([found.run_id, *(producer.producer for producer in found.producers)])
    except Unavailable:
        return found
    producers = [
        producer.model_copy(update={"last_seen_us": max(producer.last_seen_us, marks.get(producer.producer, 0))})
        for producer in found.producers
    ]
    last_seen_us = max((found.last_seen_us or 0, *marks.values()))
    update = {"producers": producers, "last_seen_us": last_seen_us or None, "unprojected_records": max(0, behind)}
    return found.model_copy(update=update)


def load_delivery(connection: Connection, run_id: str) -> Delivery | None:
    """Return what arrived of the run, or None when there is neither a run nor a producer of that id."""
    rows = connection.execute(
        select(producers).where(producers.c.run_id == run_id).order_by(producers.c.opened_us, producers.c.producer)
    )
    found = [_producer(dict(row)) for row in rows.mappings()]
    status = connection.execute(select(SHOWN_STATUS).where(runs.c.run_id == run_id)).scalar()
    if not found and status is None:
        return None
    partition = positions.c.partition == partition_of(run_id)
    projected_index = connection.execute(select(positions.c["index"]).where(partition)).scalar()
    rejected = connection.execute(
        select(rejections)
        .where(rejections.c.subject == run_id)
        .order_by(rejections.c.partition, rejections.c["index"], rejections.c.number)
    )
    return Delivery(
        run_id=run_id,
        status=status,
        last_seen_us=max((producer.last_seen_us for producer in found), default=None),
        projected_index=projected_index or 0,
        is_complete=bool(found) and all(producer.is_complete for producer in found),
        producers=found,
        rejections=[Rejection.model_validate(dict(row)) for row in rejected.mappings()],
    )


def _producer(row: dict[str, object]) -> ProducerDelivery:
    received = parse_intervals(str(row["intervals"]))
    last = row["last_sequence"]
    highest = received.intervals[-1][1] if received.intervals else 0
    missing = received.missing(max(highest, last) if isinstance(last, int) else highest)
    return ProducerDelivery.model_validate(
        row
        | {
            "received": len(received),
            "last_seen_us": row["last_appended_us"],
            "missing": str(missing),
            "is_complete": isinstance(last, int) and highest <= last and not len(missing),
        }
    )
