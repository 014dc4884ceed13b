"""`mltrail runs metrics`: summaries, a chart and points of what a trainer wrote into a folder."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest

from mltrail_cli.runs.chart import chart_lines
from mltrail_core.series import Series
from tests.cli.command import mltrail
from tests.cli.trained import TrainedFolder


def series_of(values: list[float], steps: list[int] | None = None) -> Series:
    numbers = np.array(range(len(values)) if steps is None else steps, dtype=np.int64)
    return Series(numbers, numbers, np.array(values))


def test_metrics_of_a_run_are_listed(trained: TrainedFolder) -> None:
    text = mltrail("runs", "metrics", trained.first, "--data", trained.data).out
    line = next(line for line in text.splitlines() if line.startswith("loss"))
    assert line.split() == ["loss", "1", "0.2", "4", "0.2", "4", "1", "0", "5"]
    listed = mltrail("runs", "metrics", trained.first, "--data", trained.data, "--json").json()["metrics"]
    assert isinstance(listed, list)
    assert {metric["key"] for metric in listed} >= {"loss", "odd"}


def test_one_metric_is_drawn(trained: TrainedFolder) -> None:
    text = mltrail("runs", "metrics", trained.first, "loss", "--data", trained.data).out
    assert "5 of 5 points are drawn" in text
    assert "min   0.2 at step 4" in text
    assert any("\u2801" <= sign <= "\u28ff" for sign in text)


def test_points_are_printed_as_json_and_csv(trained: TrainedFolder) -> None:
    words = ("runs", "metrics", trained.first[:12], "loss", "--data", trained.data)
    whole = mltrail(*words, "--json").json()
    assert whole["values"] == [1 / (step + 1) for step in range(5)]
    assert mltrail(*words, "--json", "--first-step", "3").json()["steps"] == [3, 4]
    few = mltrail(*words, "--json", "--points", "4").json()
    assert (few["points"], few["total"]) == (len(few["values"]), 5)  # type: ignore[arg-type]
    names, *lines = csv.reader(mltrail(*words, "--csv").out.splitlines())
    assert names == ["step", "time_us", "value"]
    assert [float(line[2]) for line in lines] == whole["values"]


def test_what_can_not_be_shown_is_told(trained: TrainedFolder) -> None:
    wrong = mltrail("runs", "metrics", trained.first, "lost", "--data", trained.data)
    assert (wrong.status, "near are 'loss'" in wrong.err) == (1, True)
    for words in (("--csv",), ("--points", "5"), ("loss", "--csv", "--json")):
        assert mltrail("runs", "metrics", trained.first, *words, "--data", trained.data).status == 1


@pytest.mark.parametrize("values", [[0.0, 1.0], [1.0, float("nan"), float("inf"), 0.0], [1e308, -1e308, 0.0]])
def test_a_chart_has_its_size_and_ink_in_each_column(values: list[float]) -> None:
    lines = chart_lines(series_of(values), 20, 4)
    assert [len(line) for line in lines] == [20] * 4
    assert all(any(line[column] != "\u2800" for line in lines) for column in range(20))


def test_a_rising_line_rises_and_a_level_one_is_level() -> None:
    assert chart_lines(series_of([0.0, 1.0]), 2, 1) == ["⣠⠞"]
    assert chart_lines(series_of([1.0, 1.0]), 4, 1) == ["⠒⠒⠒⠒"]


def test_a_point_alone_among_nan_is_drawn_where_it_is() -> None:
    assert chart_lines(series_of([math.nan, 1.0, math.nan]), 5, 1) == ["⠀⠀⠂⠀⠀"]


@pytest.mark.parametrize("series", [series_of([]), series_of([1.0]), series_of([float("nan")] * 3)])
def test_there_is_no_chart_of_nothing(series: Series) -> None:
    assert chart_lines(series, 20, 4) == []


def test_json_is_one_document(trained: TrainedFolder) -> None:
    text = mltrail("runs", "metrics", trained.first, "odd", "--json", "--data", trained.data).out
    assert json.loads(text)["values"] == ["NaN"]
