"""What a search finds of runs that count as lost, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from mltrail_api.search.runs import search_runs
from mltrail_api.search.view import load_run
from mltrail_core.readmodel.store import ReadModel
from mltrail_core.readmodel.tables import lost_runs
from tests.api.search.sample import SampleExperiment, SampleRun, fill


@pytest.fixture
def with_lost_run(read_model: ReadModel) -> ReadModel:
    """Runs that are `running`, `lost` and `failed`, in this order of their start."""
    runs = [
        SampleRun("running", experiment_id="7", status="RUNNING", started_us=3_000_000),
        SampleRun("lost", experiment_id="7", status="RUNNING", started_us=2_000_000),
        SampleRun("failed", experiment_id="7", status="FAILED", started_us=1_000_000),
    ]
    fill(read_model, runs, [SampleExperiment()])
    row = {"run_id": "lost", "last_seen_us": 5, "lease_s": 120, "lost_us": 6, "index": 7}
    with read_model.writing(read_model.live_generation()) as connection:
        connection.execute(insert(lost_runs), [row])
    return read_model


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("status = 'RUNNING'", ("running",)),
        ("status = 'FAILED'", ("lost", "failed")),
        ("status = 'LOST'", ("lost",)),
        ("status != 'LOST'", ("running", "failed")),
        ("status ILIKE 'lost'", ("lost",)),
        ("status != 'RUNNING'", ("lost", "failed")),
        ("status LIKE '%'", ("running", "lost", "failed")),
    ],
)
def test_a_lost_run_is_found_as_failed_and_as_lost_and_not_as_running(
    with_lost_run: ReadModel, condition: str, found: tuple[str, ...]
) -> None:
    with with_lost_run.reading() as connection:
        assert search_runs(connection, ["7"], f"attributes.{condition}").run_ids == found


def test_lost_runs_are_sorted_as_what_they_are_shown_as(with_lost_run: ReadModel) -> None:
    with with_lost_run.reading() as connection:
        page = search_runs(connection, ["7"], order_by=["attributes.status DESC", "attributes.start_time ASC"])
    assert page.run_ids == ("running", "failed", "lost")


def test_a_lost_run_keeps_its_recorded_status_and_says_when_it_was_last_seen(with_lost_run: ReadModel) -> None:
    with with_lost_run.reading() as connection:
        lost, running = load_run(connection, "lost"), load_run(connection, "running")
    assert lost is not None
    assert running is not None
    assert (lost.status, lost.shown_status, lost.mlflow_status, lost.last_seen_us) == ("RUNNING", "LOST", "FAILED", 5)
    assert (running.shown_status, running.mlflow_status, running.last_seen_us) == ("RUNNING", "RUNNING", None)
