"""Readers: how the functions that read reach a read model, which the SDK itself does not have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mltrail._settings import Destination

if TYPE_CHECKING:
    from mltrail._delivery import Arrived
    from mltrail_core.metric_block import MetricPoint

__all__ = ["Decision", "Reader", "RunSnapshot", "open_reader"]


@dataclass(frozen=True, slots=True)
class RunSnapshot:
    """A run as the read model had it at one moment. Times are µs UTC, exact to the millisecond at least.

    `ended_us` is None while it goes on. `metrics` holds the last value of each key, by step and then time.
    """

    id: str
    name: str
    experiment_id: str
    status: str
    user: str
    started_us: int
    ended_us: int | None
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class Decision:
    """What the fold decided about a record: `reason` and `message` are None when it was accepted. `version` is the
    number of the model version that it made, if it made one."""

    reason: str | None
    message: str | None
    version: int | None


class Reader(Protocol):
    """Reads from one place. Every method raises `NotFound`, `Invalid` or `Unavailable`, as its name says."""

    def get_run(self, run_id: str) -> RunSnapshot:
        """Return one run."""

    def search_runs(
        self, experiments: Sequence[str] | None, filter_string: str, order_by: Sequence[str], max_results: int
    ) -> list[RunSnapshot]:
        """Return the runs that match, of the experiments with these names or of all."""

    def metric_history(self, run_id: str, key: str) -> list[MetricPoint]:
        """Return all points of one metric, in the order of step and time."""

    def delivery(self, run_id: str) -> Arrived:
        """Return what arrived of a run."""

    def decision(self, producer: str, sequence: int, model: str | None) -> Decision | None:
        """Return what was decided about a record in `control`, None while nothing was. `model` names the registered
        model whose version it makes."""


def open_reader(destination: Destination) -> Reader:
    """Return the reader for where the session logs to.

    Raises:
        Unavailable: the Redis log can't be reached, or names no API.
    """
    if destination.kind == "folder":
        from mltrail._reader.command import CommandReader

        return CommandReader(Path(destination.address))
    from mltrail._reader.http import HttpReader

    if destination.kind == "http":
        return HttpReader(destination.address, destination.token)
    from mltrail._reader.published import published_api_url

    return HttpReader(published_api_url(destination.address), destination.token)
