"""One producer: what this process incarnation writes to one run, numbered from 1 so that no gap stays unseen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mltrail_core.clock import now_us
from mltrail_core.events import Event, ExperimentEnsured, ProducerClosed, ProducerOpened, RunStatusChanged
from mltrail_core.ids import CONTROL, Partition, ProducerId, RunId, new_producer_id, partition_of
from mltrail_core.log import NewRecord
from mltrail_core.record import GOOD_RECORD_BYTES, Actor, Record, freeze_record


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes: what `producer_opened` and the records' actor say."""

    user: str
    host: str
    process_id: int
    rank: int


@dataclass(frozen=True, slots=True)
class Sized:
    """An event and about how many bytes it takes in a record."""

    event: Event
    size_bytes: int
    point_count: int = 0
    upload: str = ""
    """The name of the upload that is done with once this event is kept."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A frozen record on its way to the log, with what it carries, to be able to say what was lost."""

    record: NewRecord
    run_id: RunId
    event_count: int
    point_count: int
    uploads: tuple[str, ...] = ()
    """Names of the uploads that are done with once this record is kept."""
    is_of_the_living: bool = False
    """Whether it is true only while this process lives: then it is never spooled, and nobody misses it later."""


@dataclass(frozen=True, slots=True)
class Upload:
    """An artifact whose copy lies in the spool: `name` is the copy's, `path` the artifact's in its run."""

    name: str
    run_id: RunId
    path: str
    size_bytes: int


class Stream:
    """Turns the events of one run into frozen records. Used by the packing thread alone, but for its flags."""

    def __init__(self, run_id: RunId, writer: Writer, *, owns_status: bool) -> None:
        self.run_id = run_id
        self.owns_status = owns_status
        """Whether the end of this stream is the end of the run; not so for who joined it and for forked children."""
        self.is_closed = False
        self._partition = partition_of(run_id)
        self._begin(writer)

    @property
    def producer(self) -> ProducerId:
        """As whom this process writes to the run."""
        return self._producer

    def begin_again_in_child(self, writer: Writer) -> None:
        """Become another producer of the same run: a forked process must never use its parent's numbers."""
        self.owns_status = False
        self._begin(writer)

    def ensure_experiment(self, event: ExperimentEnsured) -> Outgoing:
        """Return the only record that this producer sends to `control`."""
        events = (self._opened(), event, ProducerClosed(now_us(), 1))
        return self._freeze(CONTROL, 1, events, 0)

    def cut(self, said: Sequence[Sized]) -> Iterator[Outgoing]:
        """Yield the events as records of good size, in order. What was yielded has its number and must be sent."""
        for batch in _batches(said):
            yield self._next(batch)

    def close(self, said: Sequence[Sized], status: RunStatusChanged | None) -> Iterator[Outgoing]:
        """Yield the last events as records, the last of which declares the end; none when nothing was ever said."""
        self.is_closed = True
        last = [*said, *([] if status is None else [Sized(status, 100)])]
        if not last and self._sequence == 0:
            return
        *whole, rest = _batches(last) or [[]]
        for batch in whole:
            yield self._next(batch)
        closed = ProducerClosed(now_us(), self._sequence + 1)
        yield self._next([*rest, Sized(closed, 50)])

    def says_it_runs(self) -> Outgoing:
        """Return the record that lets a resumed run be RUNNING again, as of a producer of its own.

        Only who lives can say that: sent from the spool of a process that has died, it would open again what another
        has ended since.
        """
        at_us = now_us()
        running = Sized(RunStatusChanged(at_us, self.run_id, "RUNNING"), 100)
        [only] = Stream(self.run_id, self._writer, owns_status=False).close([running], None)
        return replace(only, is_of_the_living=True)

    def after_close(self, said: Sequence[Sized]) -> Iterator[Outgoing]:
        """Yield what became known only after the end, such as an artifact that was stored late, as of a new producer:
        this one has declared its last number."""
        return Stream(self.run_id, self._writer, owns_status=False).close(said, None)

    def _begin(self, writer: Writer) -> None:
        self._writer = writer
        self._actor = Actor(writer.user)
        self._producer = new_producer_id()
        self._sequence = 0

    def _opened(self) -> ProducerOpened:
        writer = self._writer
        return ProducerOpened(now_us(), self.run_id, writer.host, writer.process_id, writer.rank)

    def _next(self, batch: Sequence[Sized]) -> Outgoing:
        opened = [self._opened()] if self._sequence == 0 else []
        points = sum(sized.point_count for sized in batch)
        events = (*opened, *(sized.event for sized in batch))
        uploads = tuple(sized.upload for sized in batch if sized.upload)
        outgoing = self._freeze(self._partition, self._sequence + 1, events, points, uploads)
        self._sequence += 1  # only now: a record that could not be frozen leaves no hole
        return outgoing

    def _freeze(
        self,
        partition: Partition,
        sequence: int,
        events: tuple[Event, ...],
        points: int,
        uploads: tuple[str, ...] = (),
    ) -> Outgoing:
        record = Record(partition, self._producer, sequence, self._actor, events)
        return Outgoing(NewRecord(partition, freeze_record(record)), self.run_id, len(events), points, uploads)


def _batches(said: Sequence[Sized]) -> list[list[Sized]]:
    batches: list[list[Sized]] = []
    room_bytes = 0
    for sized in said:
        if sized.size_bytes > room_bytes:
            batches.append([])
            room_bytes = GOOD_RECORD_BYTES
        batches[-1].append(sized)
        room_bytes -= sized.size_bytes
    return batches
