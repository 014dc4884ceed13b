"""`Run`: what training code calls. Every method appends to the buffer and returns; none waits for a network."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from time import time_ns
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mltrail._arguments import (
    MAX_STEP,
    MIN_STEP,
    checked_key,
    checked_status,
    number_of,
    param_value,
    step_of,
    tag_value,
)
from mltrail._losses import Losses
from mltrail._points import ENTRIES, Entry, PointSink
from mltrail._stream import Sized, Stream
from mltrail._uploads import files_below
from mltrail_core.clock import now_us
from mltrail_core.events import ParamLogged, TagSet

if TYPE_CHECKING:
    from mltrail._delivery import Delivery
    from mltrail._session import Session

MAX_KNOWN_KEYS = 100_000
"""Keys that need no second look; a program that makes up keys for ever must not fill the memory with them."""

_known_keys: set[str] = set()


class Run:
    """A run that this process writes to, made by `mltrail.start_run`. Use it in a `with` or `async with`, or `end` it.

    Methods may be called from any thread. They raise only for wrong arguments (ValueError, TypeError); what can't be
    kept or sent is counted and said in a warning.

    Attributes:
        id: 32 hex digits, as in MLflow.
        name: the run's name; None for a run that was joined by its id.
        experiment: the experiment's name; None for a run that was joined by its id.
    """

    def __init__(
        self,
        session: Session,
        stream: Stream,
        *,
        name: str | None,
        experiment: str | None,
        on_end: Callable[[Run], None],
    ) -> None:
        self.id: str = stream.run_id
        self.name = name
        self.experiment = experiment
        self._session = session
        self._stream = stream
        self._buffer = session.buffer
        self._points: PointSink = session.points()
        self._on_end = on_end
        self._is_ended = False

    @property
    def is_ended(self) -> bool:
        """Whether `end` was called in this process."""
        return self._is_ended

    def log_metric(self, key: str, value: float, step: int = 0) -> None:
        """Log one value of a metric; costs about a microsecond.

        Args:
            key: at most 250 characters of letters, digits and `_ - . / :` and space.
            value: a number or what `float()` takes, such as a NumPy or torch scalar; NaN and ±Infinity are values.
            step: a whole number of 64 bits.
        """
        if type(value) is not float:
            value = number_of(key, value)
        if type(step) is not int or not MIN_STEP <= step <= MAX_STEP:
            step = step_of(key, step)
        if type(key) is not str or key not in _known_keys:
            key = _learn(key)
        points = self._points
        if len(points) >= self._buffer.mark and not self._buffer.admits_points(1):
            return
        points += (self._stream, key, value, step, time_ns())

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log one value of several metrics at one step and time; nothing when one of them is wrong."""
        step = step_of("", step)
        checked = [
            (
                key if type(key) is str and key in _known_keys else _learn(key),
                value if type(value) is float else number_of(key, value),
            )
            for key, value in metrics.items()
        ]
        points, stream, now_ns = self._points, self._stream, time_ns()
        if len(points) < self._buffer.mark or self._buffer.admits_points(len(checked)):
            points += [entry for key, value in checked for entry in (stream, key, value, step, now_ns)]

    def log_series(self, key: str, steps: object, values: object, *, times_us: object = None) -> None:
        """Log many points of one metric at once; the arrays are copied before this returns.

        Args:
            key: the metric.
            steps: n whole numbers: a list, range, NumPy array, torch tensor, or anything with `__array__`.
            values: n numbers, likewise.
            times_us: n times in µs UTC; None takes the present for all.
        """
        from mltrail._columns import sized_block  # these two load NumPy, which `import mltrail` does not
        from mltrail._series import series_blocks

        for block in series_blocks(_learn(key), steps, values, times_us):
            self._say(sized_block(self._stream, block))

    def log_param(self, key: str, value: object) -> None:
        """Log a param, as text of at most 6000 characters; params never change, another value later is rejected."""
        key = checked_key(key)
        text = param_value(key, value)
        self._say(Sized(ParamLogged(now_us(), self._stream.run_id, key, text), 200 + 4 * len(text)))

    def log_params(self, params: Mapping[str, object]) -> None:
        """Log several params; nothing when one of them is wrong."""
        checked = [(checked_key(key), param_value(key, value)) for key, value in params.items()]
        for key, text in checked:
            self.log_param(key, text)

    def set_tag(self, key: str, value: object) -> None:
        """Give a tag a value, as text of at most 8000 characters, whatever it had before."""
        key = checked_key(key)
        text = tag_value(key, value)
        self._say(Sized(TagSet(now_us(), self._stream.run_id, key, text), 200 + 4 * len(text)))

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Give several tags a value; nothing when one of them is wrong."""
        checked = [(checked_key(key), tag_value(key, value)) for key, value in tags.items()]
        for key, text in checked:
            self.set_tag(key, text)

    def log_artifact(self, path: str | os.PathLike[str], artifact_path: str | None = None) -> None:
        """Keep a file, or a folder with all below it, as it is now: it is copied before this returns, and sent later.

        Args:
            path: the file or folder.
            artifact_path: the folder in the run that it is put into; None is the root. A folder's files are put there
                without the folder's own name.
        """
        for file, artifact in list(files_below(Path(path), artifact_path)):
            self._session.upload(self._stream, file, artifact)

    def log_artifacts(self, folder: str | os.PathLike[str], artifact_path: str | None = None) -> None:
        """Keep all files below a folder as they are now; see `log_artifact`."""
        if not Path(folder).is_dir():
            raise ValueError(f"{str(folder)!r} is not a folder; log_artifact takes a file")
        self.log_artifact(folder, artifact_path)

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until all that was logged before is durable on the other side; return whether that is so in time."""
        return self._session.flush(self._stream, time.monotonic() + timeout_s)

    def delivery(self) -> Delivery:
        """Return what became of all that was logged to this run: sent, acknowledged, waiting, dropped, rejected.

        It asks the server (for a folder the `mltrail` command, which takes a second), so it is not for a training loop.
        It raises nothing when nobody can be asked: then `unknown_because` says why, beside this process's own counts.
        """
        return self._session.delivery(self._stream)

    def end(self, status: str | None = None) -> None:
        """End the run and wait until all is durable, at most `exit_timeout_s`; what is left is sent in the background.

        Calling it again does nothing. In a process that joined the run (`start_run(run_id=…)`, a forked child) it only
        ends the joining, unless `status` is given.

        Args:
            status: FINISHED (the default), FAILED or KILLED.
        """
        if self._begin_end(status):
            self._on_end(self)
            self._end_stream(status)

    async def aend(self, status: str | None = None) -> None:
        """As `end`, for asyncio: the waiting is done in a thread, and the loop goes on."""
        import asyncio  # who awaits this has loaded it; `import mltrail` does not

        if self._begin_end(status):
            self._on_end(self)  # here, since a thread could not change which run is active in this task
            await asyncio.to_thread(self._end_stream, status)

    async def aflush(self, timeout_s: float = 10.0) -> bool:
        """As `flush`, for asyncio: the waiting is done in a thread, and the loop goes on."""
        import asyncio

        return await asyncio.to_thread(self.flush, timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(_status_after(error))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aend(_status_after(error))

    def _begin_end(self, status: str | None) -> bool:
        """Return whether this is the first end of the run."""
        if status is not None:
            checked_status(status)
        was_ended, self._is_ended = self._is_ended, True
        return not was_ended

    def _end_stream(self, status: str | None) -> None:
        from mltrail._watch import watch

        watch.detach(self)  # before the end: the last of the console is an artifact of the run
        self._points = _AfterEnd(self.id, self._session.losses)
        self._session.end_stream(self._stream, status)

    def __repr__(self) -> str:
        return f"<mltrail.Run {self.id}{'' if self.name is None else f' {self.name!r}'}{' ended' * self._is_ended}>"

    def _say(self, sized: Sized) -> None:
        self._session.say(self._stream, sized)


class _AfterEnd:
    """Takes the points that are logged after the end of their run."""

    def __init__(self, run_id: str, losses: Losses) -> None:
        self._run_id = run_id
        self._losses = losses

    def __iadd__(self, entries: Iterable[Entry], /) -> Self:
        for key in list(entries)[1::ENTRIES]:
            self._losses.add("points dropped, their run had ended", detail=f"run {self._run_id}, metric {key!r}")
        return self

    def __len__(self) -> int:
        return 0


def _status_after(error: BaseException | None) -> str | None:
    from mltrail._lifecycle import status_after

    return None if error is None else status_after(error)


def _learn(key: object) -> str:
    checked = checked_key(key)
    if len(_known_keys) >= MAX_KNOWN_KEYS:
        _known_keys.clear()
    _known_keys.add(checked)
    return checked
