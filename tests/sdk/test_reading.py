"""What was logged is read back over every kind of place, through the real API."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

import mltrail
from mltrail_core.errors import Invalid, NotFound, Unavailable
from tests.sdk.real_server import real_server


@pytest.fixture(params=["http", "redis"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where to log to: a real API on a folder, or the Redis log of one."""
    if request.param == "http":
        with real_server(str(tmp_path / "data" / "log"), tmp_path / "data") as url:
            yield url
    else:
        redis_url: str = request.getfixturevalue("redis_url")
        with real_server(redis_url, tmp_path / "data"):
            yield redis_url


def test_a_run_is_read_back_while_it_goes_on_and_after_it_ended(uri: str, tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(bytes(3_000_000))
    mltrail.init(uri)
    with mltrail.start_run(experiment="iris", name="gbm") as run:
        run.log_params({"lr": 0.1, "depth": 3})
        for step, value in enumerate([0.5, math.nan, 0.25]):
            run.log_metric("loss", value, step)
        run.log_artifact(file)
        found = mltrail.get_run(run.id)
        assert (found.id, found.name, found.status, found.ended_us) == (run.id, "gbm", "RUNNING", None)
        assert found.params == {"lr": "0.1", "depth": "3"}
        assert found.metrics == {"loss": 0.25}
        assert found.started_us > 1_600_000_000_000_000
    ended = mltrail.get_run(run.id)
    assert ended.status == "FINISHED"
    assert ended.ended_us is not None
    history = mltrail.metric_history(run.id, "loss")
    assert [point.step for point in history] == [0, 1, 2]
    assert [history[0].value, math.isnan(history[1].value), history[2].value] == [0.5, True, 0.25]
    assert any(point.time_us % 1000 for point in history), "times were cut to milliseconds"
    assert mltrail.metric_history(run.id, "never logged") == []
    with pytest.raises(NotFound, match="0000 not found"):
        mltrail.metric_history("0" * 32, "loss")


def test_runs_are_found_by_experiment_filter_and_order(uri: str) -> None:
    mltrail.init(uri)
    ids = []
    for experiment, loss in (("a", 0.3), ("a", 0.1), ("b", 0.2)):
        with mltrail.start_run(experiment=experiment) as run:
            run.log_metric("loss", loss)
        ids.append(run.id)
    assert [run.id for run in mltrail.search_runs("a", order_by=["metrics.loss ASC"])] == [ids[1], ids[0]]
    assert [run.id for run in mltrail.search_runs(["a", "b"], "metrics.loss < 0.25", order_by=["metrics.loss"])] == [
        ids[1],
        ids[2],
    ]
    assert {run.id for run in mltrail.search_runs()} == set(ids)
    assert len(mltrail.search_runs(max_results=2)) == 2
    assert [run.metrics for run in mltrail.search_runs("b")] == [{"loss": 0.2}]
    either = "metrics.loss.min < 0.15 OR (experiment ~ '^b' AND NOT metrics.loss IS NULL)"
    assert [run.id for run in mltrail.search_runs(filter_string=either, order_by=["metrics.loss.max DESC"])] == [
        ids[2],
        ids[1],
    ]


def test_runs_are_found_as_a_table_of_pandas(folder: Path) -> None:
    with real_server(str(folder / "log"), folder) as url:
        mltrail.init(url)
        with mltrail.start_run(experiment="a", name="first", tags={"team": "red"}) as first:
            first.log_metric("loss", 0.5)
        with mltrail.start_run(experiment="a", name="second") as second:
            second.log_param("lr", 0.1)
        table = mltrail.search_runs("a", order_by=["attributes.start_time ASC"], output_format="pandas")
        none = mltrail.search_runs("a", "metrics.loss > 1", output_format="pandas")
    assert list(table["run_id"]) == [first.id, second.id]
    assert list(table["metrics.loss"].isna()) == [False, True]
    assert list(table["params.lr"]) == [None, "0.1"]
    assert list(table["tags.team"]) == ["red", None]
    assert str(table["start_time"].dt.tz) == "UTC"
    assert (table["end_time"] >= table["start_time"]).all()
    assert (len(none), list(none.columns)[:2]) == (0, ["run_id", "name"])
    with pytest.raises(ValueError, match="output_format"):
        mltrail.search_runs(output_format="polars")  # type: ignore[call-overload]


def test_reads_of_what_is_not_there_or_not_understood_say_so(uri: str) -> None:
    mltrail.init(uri)
    with pytest.raises(NotFound):
        mltrail.get_run("0" * 32)
    with pytest.raises(NotFound):
        mltrail.search_runs("no such experiment")
    with pytest.raises(Invalid):
        mltrail.search_runs(filter_string="metrics.loss <")


def test_reads_without_a_server_say_what_to_start(redis_url: str) -> None:
    mltrail.init(redis_url)
    with pytest.raises(Unavailable, match="mltrail server --log-url"):
        mltrail.get_run("0" * 32)


def test_reading_a_folder_without_the_parts_of_a_server_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mltrail.init(folder)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Unavailable, match=r"pip install 'mltrail\[server\]'"):
        mltrail.get_run("0" * 32)
