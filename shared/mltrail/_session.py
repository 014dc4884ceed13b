"""A session: buffer, threads and transport of one `init`, put together here and nowhere else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from mltrail import _surroundings as surroundings
from mltrail._background import Background, Task
from mltrail._buffer import Buffer, Ensure, Flush, Frozen, Keep, Said
from mltrail._crew import Crew
from mltrail._delivery import Delivery, delivery_of
from mltrail._durable import DurablePoints
from mltrail._heartbeat import Heartbeats
from mltrail._losses import Losses
from mltrail._outbox import Outbox
from mltrail._packer import Packer
from mltrail._patience import Patience
from mltrail._points import PointSink
from mltrail._report import report_unsent
from mltrail._resender import Resender
from mltrail._sender import Sender
from mltrail._settings import SEND_INTERVAL_S, Settings
from mltrail._spool import About, Spool
from mltrail._stream import Outgoing, Sized, Stream, Writer
from mltrail._transport import Transport, open_transport
from mltrail._uploads import upload_task
from mltrail._worker import Worker
from mltrail_core.clock import now_us
from mltrail_core.errors import Unavailable
from mltrail_core.events import Event, ExperimentEnsured, ProducerClosed, RunCreated, RunStatusChanged, TagSet
from mltrail_core.ids import (
    CONTROL,
    DEFAULT_EXPERIMENT_ID,
    ExperimentId,
    ProducerId,
    RunId,
    new_experiment_id,
    new_producer_id,
    new_run_id,
)
from mltrail_core.log import NewRecord
from mltrail_core.record import Actor, Record, freeze_record

_DEFAULT_EXPERIMENT = "Default"
_SETTLE_TIMEOUT_S = 30.0
_FOLDER_TIMEOUT_S = 5.0
"""How long a call with `durability="sync"` waits for the disk, and when the disk fails for the log, before it says that
it could not keep its promise."""
_PACK_S = 1.0
"""How long a question waits for the packing thread."""
_LAST_STEPS_S = 1.0
"""What the threads get to end in, past all patience: each ends after its present step."""


class Session:
    """Where runs are sent to, and the threads that do it; they start with the first call, also again after a fork."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.losses = Losses()
        self.buffer = Buffer(
            max_points=settings.max_points,
            max_bytes=settings.max_buffer_bytes,
            when_full=settings.when_full,
            block_timeout_s=settings.block_timeout_s,
            attend=self._ensure_running,
            wake=self._wake_packer,
            losses=self.losses,
        )
        is_folder = settings.destination.kind == "folder"
        self.spool = Spool(
            settings.spool_places,
            self._about,
            keeps_records=not is_folder,  # a folder's log is on this machine itself
            is_synchronous=settings.durability == "sync",
            max_bytes=settings.max_spool_bytes,
        )
        self.outbox = Outbox(
            settings.max_outbox_bytes, self.spool.read, send_interval_s=0.0 if is_folder else SEND_INTERVAL_S
        )
        self._background = Background(self.losses, self._wake_background)
        self._open_streams: list[Stream] = []
        self._heartbeats = Heartbeats(settings.destination, lambda: list(self._open_streams))
        self._before_close: list[Callable[[], None]] = []
        self._inherited: list[Transport] = []
        """Of the parent processes: never used nor closed here, which would harm the parent's connections."""
        self._transport: Transport | None = None
        self._begin()
        if settings.is_offline:
            self.spool.open()
        else:
            self._open_transport()
            if not is_folder:
                self.spool.prepare()

    def _begin(self) -> None:
        settings = self.settings
        self._writer: Writer = surroundings.current_writer(settings.rank)
        self._lock = threading.RLock()
        self._is_running = False
        self._is_closed = False
        self.patience = Patience(settings, self.buffer, self.outbox, self._background)
        self._experiment_ids: dict[str, ExperimentId] = {_DEFAULT_EXPERIMENT: DEFAULT_EXPERIMENT_ID}
        self._packer = Packer(self.buffer, self.spool, self.outbox, self.losses, settings.flush_interval_s)
        sender = Sender(self.outbox, self._open_transport, self.losses, settings.destination.shown)
        self._resender = Resender(settings.spool_places, settings.destination, lambda: self.outbox.settled > 0)
        self._crew = Crew(
            pack=self._packer.step,
            send=sender.step,
            resend=self._resender.step,
            do=self._background.step,
            beat=self._heartbeats.step,
            losses=self.losses,
            is_offline=settings.is_offline,
        )

    def begin_again_in_child(self) -> None:
        """Become a session of a forked process: nothing of the parent's is sent, its runs go on under new producers."""
        if self._transport is not None:
            self._inherited.append(self._transport)
            self._transport = None
        self.losses.begin_again_in_child()
        self.outbox.begin_again_in_child()
        self._background.begin_again_in_child()
        self.spool.begin_again_in_child()
        self._resender.begin_again_in_child()
        self._heartbeats.begin_again_in_child()
        self._begin()
        for stream in self._open_streams:
            stream.begin_again_in_child(self._writer)
        self.buffer.begin_again_in_child()

    # -- runs

    @property
    def is_running(self) -> bool:
        """Whether this process has logged something."""
        return self._is_running

    @property
    def has_open_runs(self) -> bool:
        """Whether a run of this process has not ended."""
        return bool(self._open_streams)

    def create_run(self, experiment: str, name: str) -> Stream:
        """Return the stream of a new run, whose creation is on its way."""
        stream = Stream(new_run_id(), self._writer, owns_status=True)
        with self._lock:
            experiment_id = self._experiment_ids.get(experiment)
            if experiment_id is None:
                experiment_id = self._experiment_ids[experiment] = new_experiment_id()
                self.buffer.put(Ensure(stream, ExperimentEnsured(now_us(), experiment_id, experiment)))
        started_us = now_us()
        created = RunCreated(started_us, stream.run_id, experiment_id, name, self._writer.user, started_us)
        self._say(stream, Sized(created, 400))
        self._crew.wake_packing()  # so that other processes, which are told its id, find the run
        self._open(stream)
        self._settle_if_durable()
        return stream

    def join_run(self, run_id: str, *, resume: bool) -> Stream:
        """Return a stream to a run that exists; with `resume` it is RUNNING again and ends with this process."""
        stream = Stream(RunId(run_id), self._writer, owns_status=resume)
        if resume and not self.settings.is_offline:
            self.buffer.put(Frozen(stream.says_it_runs()))
        self._open(stream)
        return stream

    @property
    def writer(self) -> Writer:
        """Who writes, in this process."""
        return self._writer

    def tag(self, stream: Stream, tags: Mapping[str, str]) -> None:
        """Tag a run with what mltrail itself knows of it; what is longer than a tag may be is cut."""
        for key, value in tags.items():
            self._say(stream, Sized(TagSet(now_us(), stream.run_id, key, value[:8000]), 200 + 4 * len(value)))

    def do_later(self, stream: Stream, what: str, attempt: Callable[[], None]) -> None:
        """Call `attempt` in the background before the stream ends; it is repeated while it raises `Unavailable`."""
        self._ensure_running()
        self._background.add(Task(stream, what, attempt))

    def say_to_control(self, *events: Event) -> ProducerId:
        """Send events as one record of a producer of its own; its id is what their outcome is asked by.

        Raises:
            Invalid: the events make no record.
        """
        producer = new_producer_id()
        record = Record(CONTROL, producer, 1, Actor(self._writer.user), (*events, ProducerClosed(now_us(), 1)))
        frozen = freeze_record(record)
        self.buffer.put(Frozen(Outgoing(NewRecord(CONTROL, frozen), RunId("(registry)"), len(events), 0)))
        self._settle_if_durable()
        return producer

    def say(self, stream: Stream, sized: Sized) -> None:
        """Put an event on its way; with `durability="sync"` it is kept when this returns."""
        if self._say(stream, sized):
            self._settle_if_durable()

    def points(self) -> PointSink:
        """Return what takes the points of runs."""
        if self.settings.durability == "sync":
            return DurablePoints(self.buffer.points, self.settle)
        return self.buffer.points

    def settle(self) -> None:
        """Return once all that was said before is on the disk; when the disk fails, say so and return all the same."""
        self._ensure_running()
        flush = Flush()
        self.buffer.put(flush)
        is_packed = flush.packed.wait(_SETTLE_TIMEOUT_S)
        if is_packed and flush.is_kept:
            return
        # There is no spool, as with a folder, or it can't be written: then the log itself has to acknowledge.
        deadline = time.monotonic() + max(_FOLDER_TIMEOUT_S, self.settings.block_timeout_s)
        if not is_packed or not self.outbox.wait_settled(flush.position, deadline):
            self.losses.add("calls that returned before their data was on the disk")

    def _settle_if_durable(self) -> None:
        if self.settings.durability == "sync":
            self.settle()

    def upload(self, stream: Stream, file: Path, path: str, *, can_wait: bool = False) -> None:
        """Copy the file and store it in the background; one that can't be read is counted as lost. `can_wait`: when it
        can't be stored at once, neither a flush nor the end of the run waits for it."""
        try:
            upload, task = upload_task(
                self.spool, stream, file, path, self._open_transport, lambda sized: self._say(stream, sized)
            )
        except (OSError, Unavailable) as error:
            self.losses.add("artifacts that could not be copied", detail=f"{path!r}: {error}")
            return
        task.can_wait = can_wait
        self._ensure_running()
        self.buffer.put(Keep(upload))
        if not self.settings.is_offline:
            self._background.add(task)
        self._settle_if_durable()

    def end_stream(self, stream: Stream, status: str | None, *, ended_us: int | None = None) -> None:
        """Send the end of a stream, after its artifacts, and wait until it has arrived: at most `exit_timeout_s`, and a
        second when an earlier run has waited in vain. `ended_us` of None is the present."""
        deadline = self.patience.deadline(self.settings.exit_timeout_s)
        settled = self.outbox.settled
        flush = self._say_end(stream, status, deadline, ended_us)
        self.patience.wait_for_end(stream, flush, deadline, settled)

    def flush(self, stream: Stream | None, deadline: float) -> bool:
        """Return True once all that was said before is durable on the other side; see `Patience.flush`."""
        return self.patience.flush(stream, deadline)

    def delivery(self, stream: Stream) -> Delivery:
        """Return what became of all that was said of a stream's run before."""
        if self._is_running and not self._is_closed:
            flush = Flush()
            self.buffer.put(flush)
            flush.packed.wait(_PACK_S)  # or what is counted lags behind what was said
        return delivery_of(self.settings, self.outbox, self.losses, stream.run_id)

    def before_close(self, call: Callable[[], None]) -> None:
        """Call `call` when this session is closed, while runs can still be written to."""
        self._before_close.append(call)

    def close(self, timeout_s: float, status: str | None = None) -> None:
        """End what is open here, send all, and stop; what can't be sent within `timeout_s` stays in the spool.

        Args:
            timeout_s: cut to a second when the end of a run has already waited in vain.
            status: that of the runs that this process owns; FINISHED by default.
        """
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        for call in self._before_close:
            call()
        deadline = self.patience.deadline(timeout_s)
        if self._is_running:
            for stream in list(self._open_streams):
                self._say_end(stream, status if stream.owns_status else None, deadline)
            self.flush(None, deadline)
        self._crew.stop()
        self.outbox.stop_waiting()
        ended = self._crew.join(max(deadline, time.monotonic() + _LAST_STEPS_S))
        if ended.packing:
            self._packer.finish()
        report_unsent(self.spool, self.outbox, self.buffer, self.losses, self.settings.destination.shown)
        if self._transport is not None and ended.all:
            self._transport.close()
        if ended.packing:
            self.spool.close(are_records_settled=self.outbox.kept().record_count == 0)
        if ended.resending:
            self._resender.close()
        if ended.beating:
            self._heartbeats.close()

    def _say_end(self, stream: Stream, status: str | None, deadline: float, ended_us: int | None = None) -> Flush:
        at_us = now_us()
        event = None
        if status is not None or stream.owns_status:
            event = RunStatusChanged(
                at_us, stream.run_id, status or "FINISHED", at_us if ended_us is None else ended_us
            )
        flush = self.patience.say_end(stream, event, deadline)
        with self._lock:
            if stream in self._open_streams:
                self._open_streams.remove(stream)
        return flush

    # -- threads

    def _about(self) -> About:
        return About(self.settings.destination.shown, self._writer, now_us())

    def _ensure_running(self) -> None:
        if self._is_running:
            return
        with self._lock:
            if self._is_running:
                return
            from mltrail._lifecycle import watch_child

            self._crew.start()
            self._is_running = True
            if self._open_streams and not self._is_closed:
                self._crew.start_beating()
            self.buffer.attended()
            watch_child(self)

    def _wake_packer(self) -> None:
        self._crew.wake_packing()

    def _wake_background(self) -> None:
        self._crew.wake_doing()

    def _open_transport(self) -> Transport:
        with self._lock:
            if self._transport is None:
                self._transport = open_transport(self.settings.destination)
            return self._transport

    def _open(self, stream: Stream) -> None:
        with self._lock:
            self._open_streams.append(stream)
            if not self._is_closed:  # also for who has joined a run and logs nothing yet
                self._crew.start_beating()

    def start_worker(self, worker: Worker) -> None:
        """Start a further thread."""
        self._crew.start_worker(worker)

    def _say(self, stream: Stream, sized: Sized) -> bool:
        return self.buffer.put(Said(stream, sized))
