"""The tracking store: what trainings log goes through the SDK, all else is a request that never overtakes it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

from mlflow.entities import Metric, Param, Run, RunInfo, RunStatus, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.rest_store import RestStore
from mlflow.utils.async_logging.run_operations import RunOperations

from mltrail._losses import logger
from mltrail._mlflow.connection import Connection
from mltrail._mlflow.run_reading import get_run_once, is_out_of_reach

_FLUSH_TIMEOUT_S = 60.0
"""How long `mlflow.flush_async_logging` waits."""
_ENDED = ("FINISHED", "FAILED", "KILLED")


class MltrailTrackingStore(RestStore):
    """MLflow's REST store, whose metrics, params, tags and ends of runs take the way of the SDK."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection.host_creds)
        self._connection = connection

    def _call_endpoint(self, *args: object, **kwargs: object) -> object:
        # Every request of this store comes here: none may overtake what the same program has logged before it. What
        # the arguments are differs between MLflow's versions.
        self._connection.settle()
        answer: object = super()._call_endpoint(*args, **kwargs)
        return answer

    # -- what trainings log

    def log_metric(self, run_id: str, metric: Metric) -> None:
        """Log one point."""
        self._connection.writer(run_id).log([metric], [], [])

    def log_param(self, run_id: str, param: Param) -> None:
        """Log one param; that another process gave it another value shows only on the run."""
        self._connection.writer(run_id).log([], [param], [])

    def set_tag(self, run_id: str, tag: RunTag) -> None:
        """Give a tag a value."""
        self._connection.writer(run_id).log([], [], [tag])

    def log_batch(
        self, run_id: str, metrics: Sequence[Metric], params: Sequence[Param], tags: Sequence[RunTag]
    ) -> None:
        """Log points, params and tags, or nothing when one of them is wrong."""
        self._connection.writer(run_id).log(metrics, params, tags)

    def log_batch_async(
        self, run_id: str, metrics: Sequence[Metric], params: Sequence[Param], tags: Sequence[RunTag]
    ) -> RunOperations:
        """As `log_batch`, which waits for nothing; the answer is done already."""
        done: Future[None] = Future()
        try:
            self.log_batch(run_id, metrics, params, tags)
            done.set_result(None)
        except MlflowException as error:
            done.set_exception(error)
        return RunOperations([done])

    def flush_async_logging(self) -> None:
        """Wait until all that was logged has arrived, artifacts too."""
        self._connection.flush(_FLUSH_TIMEOUT_S)

    # -- runs

    def create_run(
        self, experiment_id: str, user_id: str, start_time: int, tags: Sequence[RunTag], run_name: str | None
    ) -> Run:
        """Create a run by a request, so that a wrong experiment is refused at once and the server names the run."""
        run: Run = super().create_run(experiment_id, user_id, start_time, tags, run_name)
        self._connection.open_writer(run)
        return run

    def get_run(self, run_id: str) -> Run:
        """Return a run, this process's own writes included.

        A run that this process writes to is asked for once: while the server can't be reached, it is returned as it was
        last known, with a warning, since MLflow itself reads the run when it ends, and a training must not die of that.
        """
        writer = self._connection.known_writer(run_id)
        if writer is None or writer.run is None:
            found: Run = super().get_run(run_id)
            return found
        if self._connection.is_closing:
            return writer.run
        self._connection.settle()
        try:
            writer.run = get_run_once(self.get_host_creds(), run_id)
        except MlflowException as error:
            if not is_out_of_reach(error):
                raise
            logger.warning("mltrail: run %s can't be read now, this is how it was known last: %s", run_id, error)
        return writer.run

    def update_run_info(self, run_id: str, run_status: int, end_time: int | None, run_name: str | None) -> RunInfo:
        """Change a run's status, end and name. The end of a run that this process writes to follows what it logged."""
        writer = self._connection.known_writer(run_id)
        status = None if run_status is None else RunStatus.to_string(run_status)
        if writer is not None and status in _ENDED and end_time is not None and not run_name:
            info = writer.info_after_end(status, end_time)
            self._connection.end_run(writer, status, end_time)
            if info is not None:
                return info
            return self.get_run(run_id).info
        changed: RunInfo = super().update_run_info(run_id, run_status, end_time, run_name)
        if status in _ENDED:
            self._connection.stop_writing(run_id)
        return changed
