"""Looks at what arrived: projects a log as the real projector does, and reads the tables."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from sqlalchemy import select

from mltrail_core.log import EventLog, open_log
from mltrail_core.metric_block import MetricPoint, block_of_bytes, concatenate
from mltrail_core.readmodel import tables
from mltrail_core.readmodel.store import ReadModel, open_read_model
from mltrail_projector.loop import catch_up


class ProjectedLog:
    """The read model of a log, brought up to date before each look; opened with the first."""

    def __init__(self, log_url: str, read_folder: Path) -> None:
        self._log_url = log_url
        self._read_folder = read_folder
        self._opened: tuple[EventLog, ReadModel] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._opened is not None:
            log, read_model = self._opened
            read_model.close()
            log.close()

    def rows(self, table: str) -> list[dict[str, object]]:
        """Return all rows of a table."""
        read_model = self._caught_up()
        with read_model.reading() as connection:
            return [dict(row) for row in connection.execute(select(tables.METADATA.tables[table])).mappings()]

    def run(self, run_id: str) -> dict[str, object]:
        """Return the row of a run."""
        [run] = [row for row in self.rows("runs") if row["run_id"] == run_id]
        return run

    def params(self, run_id: str) -> dict[object, object]:
        """Return a run's params."""
        return {row["key"]: row["value"] for row in self.rows("params") if row["run_id"] == run_id}

    def tags(self, run_id: str) -> dict[object, object]:
        """Return a run's tags."""
        return {row["key"]: row["value"] for row in self.rows("tags") if row["run_id"] == run_id}

    def artifacts(self, run_id: str) -> dict[object, object]:
        """Return path and SHA-256 of a run's artifacts."""
        return {row["path"]: row["sha256"] for row in self.rows("artifacts") if row["owner"] == run_id}

    def points(self, run_id: str) -> list[MetricPoint]:
        """Return every point of a run, in the order of the log; what arrived twice is there twice."""
        blocks = [row for row in self.rows("metric_blocks") if row["run_id"] == run_id]
        blocks.sort(key=lambda row: (row["last_index"], row["number"]))
        return concatenate(block_of_bytes(bytes(row["block"])) for row in blocks).points()  # type: ignore[call-overload]

    def values(self, run_id: str, key: str) -> list[float]:
        """Return the values of one metric, in the order of the log."""
        return [point.value for point in self.points(run_id) if point.key == key]

    def assert_complete(self, run_id: str, *, producer_count: int = 1) -> None:
        """Fail unless every producer of the run has declared its end, misses nothing, and nothing was rejected."""
        producers = [row for row in self.rows("producers") if row["run_id"] == run_id and row["partition"] != "control"]
        assert len(producers) == producer_count
        for row in producers:
            last = row["last_sequence"]
            assert last is not None, f"producer {row['producer']} did not say what its last record is"
            assert row["intervals"] == (f"1-{last}" if last != 1 else "1")
        assert self.rows("rejections") == []

    def _caught_up(self) -> ReadModel:
        if self._opened is None:
            self._opened = open_log(self._log_url), open_read_model(str(self._read_folder))
        log, read_model = self._opened
        catch_up(log, read_model)
        return read_model


def wait_for(condition: Callable[[], bool], *, timeout_s: float = 20.0) -> None:
    """Return once `condition` holds; fail when it does not within the time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{condition} did not hold within {timeout_s:g} s"
        time.sleep(0.01)
