"""What goes to one run: MLflow's metrics, params, tags and artifacts, handed to the SDK's buffer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from mlflow.entities import Metric, Param, Run, RunInfo, RunTag
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from mltrail._arguments import checked_key, checked_path, number_of, param_value, step_of, tag_value
from mltrail._points import ENTRIES, Entry
from mltrail._session import Session
from mltrail._stream import Sized, Stream
from mltrail_core.clock import now_us
from mltrail_core.events import ParamLogged, TagSet
from mltrail_core.metric_block import MetricPoint, event_of_points
from mltrail_core.rules import param_change_message

_POINT_BYTES = 28
_MAX_TIME_MS = 2**63 // 1_000_000
"""What fits the nanoseconds of a point: the year 2262."""

_Link = tuple[str | None, str | None, str | None]
"""A metric's logged model, dataset name and dataset digest."""


class RunWriter:
    """Writes to a run. Methods raise MlflowException for what is wrong in itself, before anything of a call is logged;
    they wait for no network."""

    def __init__(self, session: Session, stream: Stream, run: Run | None) -> None:
        self.run = run
        """The run as it was when it was last read; None when nobody could be asked."""
        self.stream = stream
        self._session = session
        self._points = session.points()
        self._params: dict[str, str] = {}

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.stream.run_id

    def log(self, metrics: Sequence[Metric], params: Sequence[Param], tags: Sequence[RunTag]) -> None:
        """Log all of it, or nothing."""
        try:
            points, linked = self._checked_metrics(metrics)
            new_params = self._checked_params(params)
            new_tags = [(checked_key(tag.key), tag_value(tag.key, tag.value)) for tag in tags]
        except (ValueError, TypeError) as error:
            raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from error
        for key, text in new_params.items():
            self._params[key] = text
            self._say(Sized(ParamLogged(now_us(), self.stream.run_id, key, text), 200 + 4 * len(text)))
        for key, text in new_tags:
            self._say(Sized(TagSet(now_us(), self.stream.run_id, key, text), 200 + 4 * len(text)))
        buffer = self._session.buffer
        if points and (len(self._points) < buffer.mark or buffer.admits_points(len(points) // ENTRIES)):
            self._points += points
        for (model_id, dataset_name, dataset_digest), block in linked.items():
            event = event_of_points(
                self.stream.run_id,
                now_us(),
                block,
                model_id=model_id,
                dataset_name=dataset_name,
                dataset_digest=dataset_digest,
            )
            self._say(Sized(event, 500 + (_POINT_BYTES + 250) * len(block), len(block)))

    def log_artifact(self, file: Path, path: str) -> None:
        """Copy a file, and store it under the path in the run in the background."""
        if not file.is_file():
            raise FileNotFoundError(f"there is no file {str(file)!r} to log as an artifact")
        try:
            path = checked_path(path)
        except ValueError as error:
            raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from error
        if "#" in path:
            raise MlflowException(
                f"artifact {path!r}: MLflow's client can't list files with a '#' in their names; rename the file",
                error_code=INVALID_PARAMETER_VALUE,
            )
        self._session.upload(self.stream, file, path)

    def end(self, status: str, ended_ms: int) -> None:
        """End the run, after all that was logged, artifacts included; wait a bounded time until that has arrived."""
        self._session.end_stream(self.stream, status, ended_us=ended_ms * 1000)

    def close(self) -> None:
        """Declare that this process writes no more to the run."""
        self._session.end_stream(self.stream, None)

    def info_after_end(self, status: str, ended_ms: int) -> RunInfo | None:
        """Return what is known of the run once it has ended; None when it was never read."""
        if self.run is None:
            return None
        info = self.run.info
        return RunInfo(
            run_id=info.run_id,
            experiment_id=info.experiment_id,
            user_id=info.user_id,
            status=status,
            start_time=info.start_time,
            end_time=ended_ms,
            lifecycle_stage=info.lifecycle_stage,
            artifact_uri=info.artifact_uri,
            run_name=info.run_name,
        )

    def _checked_metrics(self, metrics: Iterable[Metric]) -> tuple[list[Entry], dict[_Link, list[MetricPoint]]]:
        points: list[Entry] = []
        linked: dict[_Link, list[MetricPoint]] = {}
        for metric in metrics:
            key, time_ms = checked_key(metric.key), metric.timestamp
            value, step = number_of(key, metric.value), step_of(key, metric.step)
            if not isinstance(time_ms, int) or not 0 <= time_ms < _MAX_TIME_MS:
                raise ValueError(f"metric {key!r}: the timestamp is {time_ms!r}; expected ms since 1970, not negative")
            if metric.model_id or metric.dataset_name or metric.dataset_digest:
                link = (metric.model_id or None, metric.dataset_name or None, metric.dataset_digest or None)
                linked.setdefault(link, []).append(MetricPoint(key, value, step, time_ms * 1000))
            else:
                points += (self.stream, key, value, step, time_ms * 1_000_000)
        return points, linked

    def _checked_params(self, params: Iterable[Param]) -> dict[str, str]:
        checked: dict[str, str] = {}
        for param in params:
            key, text = checked_key(param.key), param_value(param.key, param.value)
            earlier = checked.get(key, self._params.get(key))
            if earlier is not None and earlier != text:
                raise ValueError(param_change_message(self.run_id, key, earlier, text))
            checked[key] = text
        return checked

    def _say(self, sized: Sized) -> None:
        self._session.say(self.stream, sized)
