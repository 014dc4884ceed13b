"""What the stores of one tracking URI share: the session that writes, the runs it writes to, and where the API is."""

from __future__ import annotations

import os
import sys
import threading
import time

from mlflow.entities import LifecycleStage, Run
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, TEMPORARILY_UNAVAILABLE
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import MlflowHostCreds

from mltrail import _lifecycle as lifecycle
from mltrail._buffer import Flush
from mltrail._losses import logger
from mltrail._mlflow import SCHEME_PREFIX
from mltrail._mlflow.run_reading import get_run_once, is_out_of_reach
from mltrail._mlflow.run_writer import RunWriter
from mltrail._reader.published import published_api_url
from mltrail._session import Session
from mltrail._settings import parse_destination, read_settings
from mltrail_core.errors import MltrailError, Unavailable

SETTLE_TIMEOUT_S = 5.0
"""A request waits at most this long until what was logged before has arrived."""
_IMPATIENT_S = 0.5
"""And so long once that was in vain, as long as nothing arrives."""
_API_URL_AGE_S = 10.0
"""How long an address that was published in a Redis log is taken for true: a server may come back elsewhere."""

_connections: dict[str, Connection] = {}
_connecting = threading.Lock()


def connection_to(tracking_uri: str) -> Connection:
    """Return the connection of a tracking URI, the same one for the same URI.

    Raises:
        MlflowException: the URI names no server and no Redis log.
    """
    with _connecting:
        connection = _connections.get(tracking_uri)
        if connection is None:
            connection = _connections[tracking_uri] = Connection(tracking_uri)
        return connection


class Connection:
    """A server's address, and the session that writes to its log; it begins with the first run that is written to."""

    def __init__(self, tracking_uri: str) -> None:
        try:
            destination = parse_destination(tracking_uri.removeprefix(SCHEME_PREFIX))
        except ValueError as error:
            raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from error
        if destination.kind == "folder":
            raise MlflowException(
                f"{tracking_uri!r} names no server; expected mltrail+http://host:port or mltrail+redis://host:port/db",
                error_code=INVALID_PARAMETER_VALUE,
            )
        self._destination = destination
        self._session: Session | None = None
        self._writers: dict[str, RunWriter] = {}
        self._is_closing = False
        self._settled_in_vain = -1
        self._api_url = destination.address if destination.kind == "http" else None
        self._api_url_until = float("inf") if destination.kind == "http" else 0.0
        self._renew_lock()
        lifecycle.renew_in_child(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()

    @property
    def is_closing(self) -> bool:
        """Whether the process is about to end."""
        return self._is_closing

    def host_creds(self) -> MlflowHostCreds:
        """Return where requests go and with which token or password, as MLflow's environment variables say.

        Raises:
            MlflowException: no server has published its address in the Redis log.
        """
        creds: MlflowHostCreds = get_default_host_creds(self.api_url())
        return creds

    def api_url(self) -> str:
        """Return the address of the API; see `host_creds` for what it raises."""
        with self._lock:
            if time.monotonic() >= self._api_url_until:
                try:
                    self._api_url = published_api_url(self._destination.address)
                except Unavailable as error:
                    if self._api_url is None:
                        raise MlflowException(str(error), error_code=TEMPORARILY_UNAVAILABLE) from error
                    logger.debug("mltrail: the API's address can't be looked up, the last one is used: %s", error)
                self._api_url_until = time.monotonic() + _API_URL_AGE_S
            assert self._api_url is not None
            return self._api_url

    # -- runs

    def known_writer(self, run_id: str) -> RunWriter | None:
        """Return the writer of a run that this process writes to, None for any other."""
        return self._writers.get(run_id)

    def open_writer(self, run: Run) -> RunWriter:
        """Return the writer of a run that exists."""
        return self._opened(run.info.run_id, run)

    def writer(self, run_id: str) -> RunWriter:
        """Return the writer of a run; whether the run exists is asked once.

        Raises:
            MlflowException: there is no such run, or it is deleted.
        """
        return self._writers.get(run_id) or self._opened(run_id, self._looked_up(run_id))

    def end_run(self, writer: RunWriter, status: str, ended_ms: int) -> None:
        """End a run after all that was logged to it; wait until it has arrived, at most the session's patience."""
        with self._lock:
            self._writers.pop(writer.run_id, None)
        writer.end(status, ended_ms)

    def stop_writing(self, run_id: str) -> None:
        """Close the stream to a run whose status is said over REST."""
        with self._lock:
            writer = self._writers.pop(run_id, None)
        if writer is not None:
            writer.close()

    # -- what was logged, before what is asked

    def settle(self) -> bool:
        """Return True once all records made of what was logged before have arrived, False when that takes too long."""
        session = self._session
        if session is None or not session.is_running:
            return True
        timeout_s = _IMPATIENT_S if self._settled_in_vain == session.outbox.settled else SETTLE_TIMEOUT_S
        deadline = time.monotonic() + timeout_s
        flush = Flush()
        session.buffer.put(flush)
        is_settled = flush.packed.wait(timeout_s) and session.outbox.wait_settled(flush.position, deadline)
        self._settled_in_vain = -1 if is_settled else session.outbox.settled
        if not is_settled:
            logger.warning(
                "mltrail: not all that was logged has arrived at %s; what is read now may lack the rest, which is kept "
                "and sent later",
                self._destination.shown,
            )
        return is_settled

    def flush(self, timeout_s: float, run_id: str | None = None) -> bool:
        """As `settle`, for artifacts too; of one run, or of all."""
        session, writer = self._session, None if run_id is None else self._writers.get(run_id)
        if session is None or (run_id is not None and writer is None):
            return True
        return session.flush(None if writer is None else writer.stream, time.monotonic() + timeout_s)

    def _opened(self, run_id: str, run: Run | None) -> RunWriter:
        with self._lock:
            writer = self._writers.get(run_id)
            if writer is None:
                session = self._begun()
                writer = RunWriter(session, session.join_run(run_id, resume=False), run)
                self._writers[run_id] = writer
            return writer

    def _begun(self) -> Session:
        if self._session is None:
            creds = get_default_host_creds(self._destination.address)
            try:
                settings = read_settings(
                    os.environ, uri=self._destination.address, token=creds.token or creds.password, offline=False
                )
                self._session = Session(settings)
            except (ValueError, MltrailError) as error:
                raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from error
            self._process_id = os.getpid()
            self._session.before_close(self._before_close)
            lifecycle.watch(self._session)
        return self._session

    def _looked_up(self, run_id: str) -> Run | None:
        try:
            run = get_run_once(self.host_creds(), run_id)
        except MlflowException as error:
            if not is_out_of_reach(error):
                raise
            logger.warning("mltrail: whether run %s exists can't be asked now, it is taken to: %s", run_id, error)
            return None
        if run.info.lifecycle_stage != LifecycleStage.ACTIVE:
            raise MlflowException(
                f"The run {run_id} must be in the 'active' state. Current state is {run.info.lifecycle_stage}.",
                error_code=INVALID_PARAMETER_VALUE,
            )
        return run

    def _before_close(self) -> None:
        """End what MLflow's fluent API has open, as MLflow does a moment later, when nobody would send it any more."""
        self._is_closing = True
        try:
            process = sys.modules.get("multiprocessing.process")
            is_child = process is not None and process.parent_process() is not None
            if os.getpid() == self._process_id and not is_child:
                self._end_active_runs()
        finally:
            with self._lock:
                self._session = None
                self._writers.clear()
                self._is_closing = False

    def _end_active_runs(self) -> None:
        import mlflow

        while (run := mlflow.active_run()) is not None and run.info.run_id in self._writers:
            try:
                mlflow.end_run(lifecycle.status_at_exit() or "FINISHED")
            except MlflowException as error:
                logger.warning("mltrail: run %s could not be ended: %s", run.info.run_id, error)
