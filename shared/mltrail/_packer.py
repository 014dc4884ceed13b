"""The packing thread: takes what was said from the buffer, freezes records with points in columns, spools them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from mltrail._buffer import WAKE_POINTS, Buffer, Close, Ensure, Flush, Frozen, Item, Keep, Said
from mltrail._columns import BLOCK_POINTS, TakenPoints, put_together
from mltrail._losses import Losses
from mltrail._outbox import Outbox
from mltrail._points import ENTRIES
from mltrail._settings import MAX_POINTS
from mltrail._spool import Spool
from mltrail._stream import Outgoing, Sized, Stream, Upload
from mltrail._worker import let_others_run

_SHIPMENT_BYTES = 2 << 20
"""So much is frozen before it is spooled: a pass may hold four times as much, which memory should not hold twice."""
_FULL_OUTBOX_PAUSE_S = 0.05
_PASS_POINTS = 2 * BLOCK_POINTS
"""Of all runs together: with many runs, or many keys, larger passes make larger records, whose keys are said once."""
_SLICE_POINTS = 2048
"""A third of a millisecond of work: so long may a call have to wait for the interpreter, which is offered then."""
_LAST_STEPS = MAX_POINTS // _PASS_POINTS + 1
"""Enough for a full buffer."""


class Packer:
    """Moves from buffer through the spool to the outbox; one thread calls `step`."""

    def __init__(self, buffer: Buffer, spool: Spool, outbox: Outbox, losses: Losses, interval_s: float) -> None:
        self._buffer = buffer
        self._spool = spool
        self._outbox = outbox
        self._losses = losses
        self._interval_s = interval_s

    def step(self) -> float:
        """Pack what there is; return the seconds to pause.

        Points are taken before items, and items are packed before points: so a point never precedes the creation of its
        run, whatever was appended in between.
        """
        if not (self._outbox.has_room() or self._spool.takes_records):
            return _FULL_OUTBOX_PAUSE_S
        points = TakenPoints()
        self._take(points, _PASS_POINTS)
        items = self._buffer.take_items()
        if any(isinstance(item, Close | Flush) for item in items):
            # What was logged before the end of a run, or before a flush, has to leave with it.
            self._take(points, self._buffer.point_count)
        if points.count or items:
            self._pack(points, items)
        else:
            self.tidy()
        return 0.0 if points.count >= _PASS_POINTS else self._interval_s

    def finish(self) -> None:
        """Pack what was said since the thread's last step, and tidy up; called when the thread has ended."""
        for _ in range(_LAST_STEPS):
            self.step()
        self.tidy()

    def tidy(self) -> None:
        """Let the spool forget what the log has acknowledged."""
        self._keep((), ())

    def _take(self, points: TakenPoints, max_points: int) -> None:
        """Add at most so many of the oldest points."""
        left = max_points
        while left > 0:
            # Points that come so quickly that what waits would become too much are better packed in one go: to take
            # slices from the front of a long list moves the rest each time.
            is_behind = self._buffer.point_count >= WAKE_POINTS
            entries = self._buffer.take_points(left if is_behind else min(left, _SLICE_POINTS))
            if not entries:
                return
            left -= len(entries) // ENTRIES
            points.add(entries)
            del entries  # to free them is a part of the work
            if left > 0 and not is_behind and self._buffer.point_count:
                let_others_run()

    def _pack(self, points: TakenPoints, items: Sequence[Item]) -> None:
        said: dict[Stream, list[Sized]] = {}
        closes: list[Close] = []
        flushes: list[Flush] = []
        uploads: list[Upload] = []
        lone: list[Outgoing] = []
        for item in items:
            match item:
                case Said(stream, sized):
                    said.setdefault(stream, []).append(sized)
                case Ensure(stream, event):
                    lone.append(stream.ensure_experiment(event))
                case Frozen(record) if record.is_of_the_living:
                    self._outbox.put((record,))
                case Frozen(record):
                    lone.append(record)
                case Keep(upload):
                    uploads.append(upload)
                case Close():
                    closes.append(item)
                case Flush():
                    flushes.append(item)
        for stream, block in points.blocks():
            said.setdefault(stream, []).append(block)
        outgoing: list[Outgoing] = []
        size_bytes, is_kept = 0, True
        try:
            for one in self._frozen(said, lone, closes):
                outgoing.append(one)
                size_bytes += len(one.record.frozen)
                if size_bytes >= _SHIPMENT_BYTES:
                    shipment, shipped_uploads = outgoing, uploads
                    outgoing, uploads, size_bytes = [], [], 0
                    is_kept = self._ship(shipment, shipped_uploads) and is_kept
        finally:
            # Also after a fault: numbers that were given out must arrive, and nobody may wait for what never comes.
            is_kept = self._ship(outgoing, uploads) and is_kept
            position = self._outbox.put(())
            for flush in (*flushes, *(close.flush for close in closes)):
                flush.position = position
                flush.is_kept = is_kept
                flush.packed.set()

    def _frozen(
        self, said: Mapping[Stream, Sequence[Sized]], lone: Sequence[Outgoing], closes: Sequence[Close]
    ) -> Iterator[Outgoing]:
        yield from lone
        closing = {close.stream for close in closes}
        for stream, sized_events in said.items():
            if stream.is_closed:
                yield from self._after_close(stream, sized_events)
            elif stream not in closing:
                yield from stream.cut(put_together(sized_events))
        for close in closes:
            if not close.stream.is_closed:
                yield from close.stream.close(put_together(said.get(close.stream, [])), close.status)

    def _ship(self, outgoing: Sequence[Outgoing], uploads: Sequence[Upload]) -> bool:
        """Spool the records and put them into the outbox; return whether they are in the spool."""
        first_id = self._keep(outgoing, uploads)
        self._outbox.put(outgoing, first_id)
        return first_id > 0 or not outgoing

    def _keep(self, outgoing: Sequence[Outgoing], uploads: Sequence[Upload]) -> int:
        settled = self._outbox.take_settled()
        return self._spool.write(
            outgoing,
            acknowledged=settled.acknowledged,
            refused=settled.refused,
            uploads=uploads,
            stored=settled.stored,
        )

    def _after_close(self, stream: Stream, said: Sequence[Sized]) -> Iterable[Outgoing]:
        late = [sized for sized in said if sized.upload]
        lost = sum(max(1, sized.point_count) for sized in said if not sized.upload)
        if lost:
            what = "params, tags or points dropped, their run had ended"
            self._losses.add(what, lost, detail=f"run {stream.run_id}")
        return stream.after_close(late)
