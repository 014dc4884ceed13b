"""`GET /api/v1/runs/{run_id}/metrics[/{key}]`: all points or few, in three formats, and what is not there."""

from __future__ import annotations

import csv
import json
import math
from typing import Any

import httpx
import numpy as np
import pyarrow
import pytest

from mltrail_api.mlflow.endpoint import CONSISTENCY_HEADER
from mltrail_api.series.export import MAX_EXPORTS
from tests.api.running import RunningApi, wait_until
from tests.api.series.logged import TIME_US, ask, found, log_points, refused

LONG = 100_000
ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
def run_id(api: RunningApi) -> str:
    """A run with a short, an odd and a long series."""
    run_id = api.create_run()
    log_points(api, run_id, "loss", [0, 1, 2, 2], [1.0, 0.5, 0.25, 0.2], [10, 20, 30, 40])
    log_points(api, run_id, "loss", [2], [0.2], [40])  # an exact duplicate
    log_points(api, run_id, "odd/values", [0, 1, 2, 3], [math.nan, math.inf, -math.inf, -0.0], [1, 2, 3, 4])
    log_points(api, run_id, "nothing but nan", [5], [math.nan])
    values = np.random.default_rng(5).normal(size=LONG).cumsum()
    values[54_321] = 1e6
    log_points(api, run_id, "long", np.arange(LONG), values)
    return run_id


def table_of(answer: httpx.Response) -> pyarrow.Table:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == ARROW
    with pyarrow.ipc.open_stream(answer.content) as reader:
        return reader.read_all()


def test_a_series_is_answered_in_columns(api: RunningApi, run_id: str) -> None:
    answer = ask(api, f"/runs/{run_id}/metrics/loss")
    assert answer.headers[CONSISTENCY_HEADER] == "current"
    assert answer.json() == {
        "run_id": run_id, "key": "loss", "points": 4, "total": 4,
        "steps": [0, 1, 2, 2], "times_us": [10, 20, 30, 40], "values": [1.0, 0.5, 0.25, 0.2],
    }  # fmt: skip


def test_a_key_may_hold_slashes_and_values_may_be_no_numbers(api: RunningApi, run_id: str) -> None:
    for path in ("odd/values", "odd%2Fvalues"):
        answer = found(api, f"/runs/{run_id}/metrics/{path}")
        assert answer["values"] == ["NaN", "Infinity", "-Infinity", -0.0]


@pytest.mark.parametrize(
    ("bounds", "steps"),
    [
        ({"first_step": 1}, [1, 2, 2]),
        ({"last_step": 1}, [0, 1]),
        ({"first_step": 1, "last_step": 1}, [1]),
        ({"first_us": 20, "last_us": 30}, [1, 2]),
        ({"first_us": 20, "last_step": 1}, [1]),
        ({"first_step": 7}, []),
        ({"first_step": -(2**63), "last_step": 2**63 - 1}, [0, 1, 2, 2]),
    ],
)
def test_bounds_of_steps_and_times_are_closed(
    api: RunningApi, run_id: str, bounds: dict[str, int], steps: list[int]
) -> None:
    for points in ({}, {"points": 100}):
        answer = found(api, f"/runs/{run_id}/metrics/loss", **bounds, **points)
        assert (answer["steps"], answer["points"], answer["total"]) == (steps, len(steps), len(steps))


def test_few_points_of_a_long_series_say_of_how_many_and_keep_its_spike(api: RunningApi, run_id: str) -> None:
    path = f"/runs/{run_id}/metrics/long"
    few = found(api, path, points=400)
    assert 300 <= few["points"] <= 400
    assert few["total"] == LONG
    assert len(few["steps"]) == len(few["times_us"]) == len(few["values"]) == few["points"]
    assert (few["steps"][0], few["steps"][-1]) == (0, LONG - 1)
    assert few["values"][few["steps"].index(54_321)] == 1e6
    zoomed = found(api, path, points=400, first_step=1000, last_step=1099)
    assert (zoomed["points"], zoomed["total"], zoomed["steps"]) == (100, 100, list(range(1000, 1100)))
    table = table_of(ask(api, path, points=400, format="arrow"))
    assert table.column("step").to_pylist() == few["steps"]
    assert json.loads(table.schema.metadata[b"mltrail"]) == {
        "run_id": run_id, "key": "long", "points": few["points"], "total": LONG,
    }  # fmt: skip
    lines = ask(api, path, points=400, format="csv")
    assert (lines.headers["X-Mltrail-Points"], lines.headers["X-Mltrail-Total"]) == (str(few["points"]), str(LONG))
    assert len(lines.text.splitlines()) == 1 + few["points"]


def test_all_formats_give_the_same_points(api: RunningApi, run_id: str) -> None:
    for key in ("loss", "odd/values"):
        path = f"/runs/{run_id}/metrics/{key}"
        answer = found(api, path)
        values = np.array(answer["values"], dtype=float)
        for table in (
            table_of(ask(api, path, format="arrow")),
            table_of(api.client.get(f"{api.url}/api/v1{path}", headers={"Accept": ARROW})),
        ):
            assert [str(field.type) for field in table.schema] == ["int64", "int64", "double"]
            assert table.column("step").to_pylist() == answer["steps"]
            assert table.column("time_us").to_pylist() == answer["times_us"]
            np.testing.assert_array_equal(table.column("value").to_numpy(), values)
        text = api.client.get(f"{api.url}/api/v1{path}", headers={"Accept": "text/csv"}).text
        names, *lines = csv.reader(text.splitlines())
        assert names == ["step", "time_us", "value"]
        assert [(int(step), int(us)) for step, us, _ in lines] == list(
            zip(answer["steps"], answer["times_us"], strict=True)
        )
        np.testing.assert_array_equal([float(value) for _, _, value in lines], values)


@pytest.mark.parametrize("format", ["json", "arrow", "csv"])
def test_a_whole_series_comes_in_parts_and_complete(api: RunningApi, run_id: str, format: str) -> None:
    url = f"{api.url}/api/v1/runs/{run_id}/metrics/long"
    with api.client.stream("GET", url, params={"format": format}) as answer:
        assert answer.headers["transfer-encoding"] == "chunked"
        parts = list(answer.iter_raw())
    content = b"".join(parts)
    assert max(map(len, parts)) < 2**20 < len(content)
    match format:
        case "json":
            steps = json.loads(content)["steps"]
            assert json.loads(content)["points"] == json.loads(content)["total"] == LONG
        case "arrow":
            with pyarrow.ipc.open_stream(content) as reader:
                steps = reader.read_all().column("step").to_pylist()
        case _:
            steps = [int(line.split(b",")[0]) for line in content.splitlines()[1:]]
    assert steps == list(range(LONG))


def test_a_reader_that_goes_away_leaves_its_place_to_others(api: RunningApi, run_id: str) -> None:
    url = f"{api.url}/api/v1/runs/{run_id}/metrics/long"
    for _ in range(MAX_EXPORTS + 1):
        with httpx.Client() as client, client.stream("GET", url) as answer:
            next(answer.iter_raw())
    assert len(found(api, f"/runs/{run_id}/metrics/long")["steps"]) == LONG
    slots = api.services.exports
    wait_until(lambda: slots.running == 0)


def test_metrics_are_listed_with_their_summaries(api: RunningApi, run_id: str) -> None:
    listed = found(api, f"/runs/{run_id}/metrics")
    assert [metric["key"] for metric in listed["metrics"]] == ["long", "loss", "nothing but nan", "odd/values"]
    assert listed["metrics"][1] == {
        "key": "loss", "logged_points": 5,
        "first": {"value": 1.0, "step": 0, "time_us": 10}, "last": {"value": 0.2, "step": 2, "time_us": 40},
        "min": {"value": 0.2, "step": 2}, "max": {"value": 1.0, "step": 0},
    }  # fmt: skip
    assert listed["metrics"][2] == {
        "key": "nothing but nan", "logged_points": 1, "min": None, "max": None,
        "first": {"value": "NaN", "step": 5, "time_us": TIME_US + 5_000_000},
        "last": {"value": "NaN", "step": 5, "time_us": TIME_US + 5_000_000},
    }  # fmt: skip
    assert listed["metrics"][3]["min"] == {"value": "-Infinity", "step": 2}
    assert listed["next_page_token"] is None


def test_metrics_are_listed_by_prefix_and_in_pages(api: RunningApi, run_id: str) -> None:
    def keys(**params: Any) -> list[str]:
        return [metric["key"] for metric in found(api, f"/runs/{run_id}/metrics", **params)["metrics"]]

    assert keys(prefix="lo") == ["long", "loss"]
    assert keys(prefix="odd/") == ["odd/values"]
    assert keys(prefix="LO") == []
    assert keys(prefix="%") == []
    page = found(api, f"/runs/{run_id}/metrics", max_results=2, prefix="")
    assert [metric["key"] for metric in page["metrics"]] == ["long", "loss"]
    assert keys(max_results=2, page_token=page["next_page_token"]) == ["nothing but nan", "odd/values"]
    status, message = refused(ask(api, f"/runs/{run_id}/metrics", page_token="?"))
    assert (status, "begin again" in message) == (400, True)


def test_a_run_without_metrics_has_an_empty_list(api: RunningApi) -> None:
    assert found(api, f"/runs/{api.create_run()}/metrics")["metrics"] == []


def test_what_is_not_there_is_told_with_what_is_near(api: RunningApi, run_id: str) -> None:
    assert refused(ask(api, f"/runs/{'0' * 32}/metrics"))[0] == 404
    assert refused(ask(api, f"/runs/{'0' * 32}/metrics/loss")) == (
        404, f"Run with id={'0' * 32} not found; `mltrail runs list` shows those there are"
    )  # fmt: skip
    status, message = refused(ask(api, f"/runs/{run_id}/metrics/Lost"))
    assert status == 404
    assert f"run {run_id} has no metric 'Lost'; near are 'loss'" in message
    assert "'odd/values'" in refused(ask(api, f"/runs/{run_id}/metrics/values"))[1]
    assert refused(ask(api, f"/runs/{api.create_run()}/metrics/loss"))[1].endswith("nor any other")


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"first_step": 2, "last_step": 1}, "first_step 2 is greater than last_step 1"),
        ({"first_us": 2, "last_us": 1}, "first_us 2 is greater than last_us 1"),
        ({"points": 3}, "points"),
        ({"points": 100_001}, "points"),
        ({"first_step": 2**63}, "first_step"),
        ({"format": "xml"}, "format"),
    ],
)
def test_what_can_not_be_asked_is_refused(api: RunningApi, run_id: str, params: dict[str, Any], said: str) -> None:
    status, message = refused(ask(api, f"/runs/{run_id}/metrics/loss", **params))
    assert status == 400
    assert said in message


def test_whoever_does_not_wait_is_told_so(api: RunningApi, run_id: str) -> None:
    for path in (f"/runs/{run_id}/metrics", f"/runs/{run_id}/metrics/loss"):
        assert ask(api, path, consistency="eventual").headers[CONSISTENCY_HEADER] == "stale"
