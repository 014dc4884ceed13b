"""The functions of `import mltrail`: sessions, the active run, and the run's methods on it."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mltrail import _lifecycle as lifecycle
from mltrail._announcement import announce
from mltrail._arguments import checked_experiment, checked_key, checked_name, checked_run_id, tag_value
from mltrail._names import new_run_name
from mltrail._recording import Recording, read_recording
from mltrail._run import Run
from mltrail._settings import (
    DEFAULT_BLOCK_TIMEOUT_S,
    DEFAULT_EXIT_TIMEOUT_S,
    DEFAULT_FLUSH_INTERVAL_S,
    MAX_SPOOL_BYTES,
    read_settings,
)

if TYPE_CHECKING:
    from mltrail._session import Session

_lock = threading.RLock()
_session: Session | None = None
_recording = Recording()
_open_runs: list[Run] = []
_has_joined = False
_active: ContextVar[tuple[Run, ...]] = ContextVar("mltrail_active_runs", default=())


def init(
    uri: str | os.PathLike[str] | None = None,
    *,
    token: str | None = None,
    experiment: str | None = None,
    flush_interval_s: float = DEFAULT_FLUSH_INTERVAL_S,
    exit_timeout_s: float = DEFAULT_EXIT_TIMEOUT_S,
    block_timeout_s: float = DEFAULT_BLOCK_TIMEOUT_S,
    when_full: str = "block",
    durability: str | None = None,
    offline: bool | None = None,
    spool: str | os.PathLike[str] | None = None,
    max_spool_bytes: int = MAX_SPOOL_BYTES,
    record_code: bool | None = None,
    record_environment: bool | None = None,
    system_metrics_interval_s: float | None = None,
    console: bool | None = None,
) -> None:
    """Say where runs that start from now on are sent to; prints it once, and how to see them.

    Without it the first `start_run` calls `init()`. Runs that are open go on where they are.

    Args:
        uri: `http://host:port` of a server, `redis://host:port/db` of its log, or a folder, which needs no server;
            None takes $MLTRAIL_URI, else ./mltrail-data.
        token: the API token that a server is shown; None takes $MLTRAIL_TOKEN, else none is.
        experiment: the experiment of runs that name none; None takes $MLTRAIL_EXPERIMENT, else Default.
        flush_interval_s: what a call logs is on the disk at most this much later; a SIGKILL loses no more.
        exit_timeout_s: the longest that the end of a run, or of the process, waits for a server.
        block_timeout_s: the longest that a call waits when the buffer is full; then it drops, and says so.
        when_full: `block`, or `drop` to wait for nothing. The buffer is full only when the spool can't be written.
        durability: `sync` for calls that return once what they logged is on the disk, after an fsync; None takes
            $MLTRAIL_DURABILITY, else `batch`: within flush_interval_s.
        offline: send nothing, keep all in the spool until `mltrail sync`; None takes $MLTRAIL_OFFLINE, else False. A
            folder needs nobody to be reached, so it makes no difference there.
        spool: the folder for what no server has acknowledged; None takes $MLTRAIL_SPOOL, else the user's state folder.
        max_spool_bytes: the most that this process puts there.
        record_code: whether runs keep their git commit, and the diff of a tree that was changed; None takes
            $MLTRAIL_RECORD_CODE, else True.
        record_environment: whether runs keep the installed packages, the machine and the program's arguments; None
            takes $MLTRAIL_RECORD_ENVIRONMENT, else True. Variables of the environment are never kept.
        system_metrics_interval_s: how often CPU, memory, disk, network and GPUs are logged as `system/…`, 0 for never;
            None takes $MLTRAIL_SYSTEM_METRICS_INTERVAL_S, else 10.
        console: whether what is printed through Python is kept as the artifact `mltrail/console.log`; None takes
            $MLTRAIL_CONSOLE, else False.

    Raises:
        ValueError: the URI is of no known kind, the token can't be sent, or an argument is not one of the known words.
        MltrailError: the folder can't hold a log, or there is no place for the spool of an offline session; the
            message says why.
    """
    settings = read_settings(
        os.environ,
        uri=None if uri is None else Path(uri) if isinstance(uri, os.PathLike) else uri,
        token=token,
        experiment=None if experiment is None else checked_experiment(experiment),
        flush_interval_s=flush_interval_s,
        exit_timeout_s=exit_timeout_s,
        block_timeout_s=block_timeout_s,
        when_full=when_full,
        durability=durability,
        offline=offline,
        spool=None if spool is None else Path(spool),
        max_spool_bytes=max_spool_bytes,
    )
    recording = read_recording(
        os.environ,
        record_code=record_code,
        record_environment=record_environment,
        system_metrics_interval_s=system_metrics_interval_s,
        console=console,
    )
    # What `import mltrail` should not wait for, NumPy above all, and no call of a training either.
    from mltrail import _description, _series, _watch  # noqa: F401
    from mltrail._session import Session

    global _session, _recording
    with _lock:
        session = Session(settings)
        previous, _session, _recording = _session, session, recording
        session.before_close(lambda: _watch_no_more(session))
        lifecycle.watch(session)
        lifecycle.renew_in_child(_renew_lock)
        if previous is None or previous.settings.destination != settings.destination:
            announce(session)
    if previous is not None and not previous.has_open_runs:
        previous.close(previous.settings.exit_timeout_s)
        lifecycle.unwatch(previous)


def start_run(
    experiment: str | None = None,
    name: str | None = None,
    run_id: str | None = None,
    *,
    tags: Mapping[str, object] | None = None,
    resume: bool = False,
    console: bool | None = None,
) -> Run:
    """Start a run, make it the active one and return it at once; no network is waited for.

    Args:
        experiment: the experiment's name, which is created when there is none; None takes that of `init`.
        name: None makes one up.
        run_id: join this run instead, as one more of its writers. None takes $MLTRAIL_RUN_ID, for the first run of the
            process. A joined run keeps its status when this process ends, whoever began it ends it.
        tags: tags to set.
        resume: the joined run is RUNNING again, and ends with this process.
        console: whether what is printed while this run is open is kept with it; None as `init` says.

    Raises:
        ValueError, TypeError: an argument is not valid.
    """
    from mltrail._description import describe_run  # these two load what `import mltrail` should not wait for
    from mltrail._watch import watch

    global _has_joined
    with _lock:
        if _session is None:
            init()
        session, recording = _session, _recording
        assert session is not None
        if console is not None:
            recording = replace(recording, console=bool(console))
        if run_id is None and not _has_joined:
            run_id = session.settings.run_id
            _has_joined = run_id is not None
    checked_tags = {checked_key(key): tag_value(key, value) for key, value in (tags or {}).items()}
    if run_id is not None:
        if name is not None:
            raise ValueError("a run that is joined by its run_id has a name already; leave `name` out")
        stream = session.join_run(checked_run_id(run_id), resume=resume)
        run = Run(session, stream, name=None, experiment=None, on_end=_deactivate)
    else:
        if resume:
            raise ValueError("resume=True needs the run_id of the run that goes on")
        experiment = checked_experiment(experiment or session.settings.experiment)
        name = checked_name(name or new_run_name())
        stream = session.create_run(experiment, name)
        run = Run(session, stream, name=name, experiment=experiment, on_end=_deactivate)
    run.set_tags(checked_tags)
    with _lock:
        _open_runs.append(run)
    _active.set((*_active.get(), run))
    lifecycle.catch_sigterm()
    watch.attach(run, session, stream, recording, is_own=run_id is None, is_resumed=resume)
    lifecycle.renew_in_child(watch.begin_again_in_child)
    if run.name is not None:
        describe_run(session, stream, recording)  # last: the threads that it makes busy would hold up all that follows
    return run


def active_run() -> Run | None:
    """Return the run that the module's functions act on, or None.

    It is the innermost run that this thread or asyncio task, or what it was started from, has started and not ended;
    in a thread that has none, the only run that the process has open.
    """
    for run in reversed(_active.get()):
        if not run.is_ended:
            return run
    with _lock:
        return _open_runs[0] if len(_open_runs) == 1 else None


def end_run(status: str | None = None) -> None:
    """End the active run; see `Run.end`."""
    _required().end(status)


def log_metric(key: str, value: float, step: int = 0) -> None:
    """Log one value of a metric to the active run; see `Run.log_metric`."""
    _required().log_metric(key, value, step)


def log_metrics(metrics: Mapping[str, float], step: int = 0) -> None:
    """Log one value of several metrics to the active run; see `Run.log_metrics`."""
    _required().log_metrics(metrics, step)


def log_series(key: str, steps: object, values: object, *, times_us: object = None) -> None:
    """Log many points of one metric to the active run; see `Run.log_series`."""
    _required().log_series(key, steps, values, times_us=times_us)


def log_param(key: str, value: object) -> None:
    """Log a param to the active run; see `Run.log_param`."""
    _required().log_param(key, value)


def log_params(params: Mapping[str, object]) -> None:
    """Log several params to the active run; see `Run.log_params`."""
    _required().log_params(params)


def set_tag(key: str, value: object) -> None:
    """Set a tag of the active run; see `Run.set_tag`."""
    _required().set_tag(key, value)


def set_tags(tags: Mapping[str, object]) -> None:
    """Set several tags of the active run; see `Run.set_tags`."""
    _required().set_tags(tags)


def log_artifact(path: str | os.PathLike[str], artifact_path: str | None = None) -> None:
    """Keep a file, or a folder, with the active run; see `Run.log_artifact`."""
    _required().log_artifact(path, artifact_path)


def log_artifacts(folder: str | os.PathLike[str], artifact_path: str | None = None) -> None:
    """Keep all files below a folder with the active run; see `Run.log_artifacts`."""
    _required().log_artifacts(folder, artifact_path)


def flush(timeout_s: float = 10.0) -> bool:
    """Wait until all that was logged to the active run is durable; see `Run.flush`."""
    return _required().flush(timeout_s)


def current_session() -> Session:
    """Return the session of the last `init`, which is called when there is none."""
    with _lock:
        if _session is None:
            init()
        assert _session is not None
        return _session


def _renew_lock() -> None:
    global _lock
    _lock = threading.RLock()  # another thread of the parent may have held the old one


def _required() -> Run:
    run = active_run()
    if run is not None:
        return run
    with _lock:
        count = len(_open_runs)
    if count:
        raise ValueError(
            f"{count} runs are open and none was started in this thread or task; call the method of the run you mean"
        )
    raise ValueError("no run is active; begin one: with mltrail.start_run(experiment=…) as run")


def _watch_no_more(session: Session) -> None:
    from mltrail._watch import watch

    watch.detach_all(session)


def _deactivate(run: Run) -> None:
    _active.set(tuple(one for one in _active.get() if one is not run))
    with _lock:
        if run in _open_runs:
            _open_runs.remove(run)
