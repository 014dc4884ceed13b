"""`POST /api/v1/metrics/series` and `/api/v1/metrics/statistics`: several runs at once."""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np
import pyarrow
import pytest

from tests.api.running import RunningApi
from tests.api.series.logged import log_points, refused

Runs = dict[str, str]


@pytest.fixture(scope="module")
def runs(api: RunningApi) -> Runs:
    """Runs of two learning rates, of different lengths and spacing, one with another metric alone, one with none."""
    made: Runs = {}
    for name, lr, steps in (("a", "0.1", range(100)), ("b", "0.1", range(0, 200, 5)), ("c", "1e-2", range(50))):
        made[name] = api.create_run()
        api.post("/runs/log-parameter", {"run_id": made[name], "key": "lr", "value": lr}).raise_for_status()
        values = [float(ord(name)) + step for step in steps]
        log_points(api, made[name], "val/loss", list(steps), values)
    log_points(api, made["a"], "acc", [0, 1, 2], [0.1, float("nan"), 0.3])
    made["other"] = api.create_run()
    log_points(api, made["other"], "acc", [0], [1.0])
    made["silent"] = api.create_run()
    return made


def post(api: RunningApi, what: str, question: dict[str, Any], **params: str) -> httpx.Response:
    return api.client.post(f"{api.url}/api/v1/metrics/{what}", json=question, params=params)


def answered(api: RunningApi, what: str, question: dict[str, Any], **params: str) -> dict[str, Any]:
    answer = post(api, what, question, **params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("points", [None, 10])
def test_series_of_several_runs_and_keys_are_answered_in_order_with_what_is_missing(
    api: RunningApi, runs: Runs, points: int | None
) -> None:
    run_ids = [runs["b"], runs["a"], "0" * 32, runs["b"]]
    question = {"run_ids": run_ids, "keys": ["val/loss", "acc"], "points": points, "first_step": 2}
    found = answered(api, "series", question)
    assert [(series["run_id"], series["key"], series["total"]) for series in found["series"]] == [
        (runs["b"], "val/loss", 39), (runs["a"], "val/loss", 98), (runs["a"], "acc", 1)
    ]  # fmt: skip
    assert found["missing"] == [{"run_id": runs["b"], "key": "acc"}, {"run_id": "0" * 32, "key": None}]
    for series in found["series"]:
        assert len(series["steps"]) == len(series["values"]) == len(series["times_us"]) == series["points"]
        assert series["points"] == (min(series["points"], 10) if points else series["total"])
    table = pyarrow.ipc.open_stream(post(api, "series", question, format="arrow").content).read_all()
    assert table.column_names == ["run_id", "key", "step", "time_us", "value"]
    rows = list(zip(*(table.column(name).to_pylist() for name in ("run_id", "key", "step", "value")), strict=True))
    assert rows == [
        (series["run_id"], series["key"], step, value)
        for series in found["series"]
        for step, value in zip(series["steps"], series["values"], strict=True)
    ]
    about = json.loads(table.schema.metadata[b"mltrail"])
    assert about["missing"] == found["missing"]
    if points:
        names = ("run_id", "key", "points", "total")
        assert about["series"] == [{name: series[name] for name in names} for series in found["series"]]
    lines = post(api, "series", question, format="csv").text.splitlines()
    assert lines[:2] == ["run_id,key,step,time_us,value", f'"{runs["b"]}","val/loss",5,1700000005000000,103.0']
    assert len(lines) == 1 + len(rows)


def test_too_many_series_or_points_are_refused_with_what_can_be_asked(api: RunningApi, runs: Runs) -> None:
    keys = [f"k{number}" for number in range(501)]
    status, message = refused(post(api, "series", {"run_ids": [runs["a"], runs["b"]], "keys": keys}))
    assert (status, "make 1002 series; at most 1000" in message) == (400, True)
    question = {"run_ids": [runs["a"]], "keys": keys, "points": 2000}
    assert "ask for 1996 points" in refused(post(api, "series", question))[1]
    for wrong in ({"run_ids": [], "keys": ["a"]}, {"run_ids": ["a\0"], "keys": ["a"]}, {"run_ids": ["a"]}):
        assert refused(post(api, "series", wrong))[0] == 400


def test_nothing_at_all_is_not_found(api: RunningApi, runs: Runs) -> None:
    status, message = refused(post(api, "series", {"run_ids": [runs["silent"]], "keys": ["loss"]}))
    assert (status, "none of the 1 runs has any of the 1 metrics" in message) == (404, True)
    status, message = refused(post(api, "statistics", {"run_ids": [runs["other"]], "key": "loss"}))
    assert (status, "none of the 1 runs has a metric 'loss'" in message) == (404, True)


def test_runs_are_grouped_by_a_param_and_summarized_on_one_grid(api: RunningApi, runs: Runs) -> None:
    run_ids = list(runs.values())
    found = answered(api, "statistics", {"key": "val/loss", "run_ids": run_ids, "group_by": "params.lr", "cells": 20})
    assert found["first_steps"][:3] == [0, 9, 19]
    assert found["last_steps"][-1] == 195
    assert found["missing_run_ids"] == [runs["other"], runs["silent"]]
    by_name = {group["name"]: group for group in found["groups"]}
    assert list(by_name) == ["1e-2", "0.1", None]
    assert by_name[None]["run_ids"] == []
    assert by_name["0.1"]["run_ids"] == [runs["a"], runs["b"]]
    # Cell 1: steps 9 to 18, ten points of a, and those at 10 and 15 of b.
    a, b = np.arange(9, 19) + ord("a"), np.array([10, 15]) + ord("b")
    voices = [a.mean(), b.mean()]
    cell = {name: by_name["0.1"][name][1] for name in ("runs", "mean", "std", "min", "max", "median")}
    assert cell == {
        "runs": 2, "mean": np.mean(voices), "std": np.std(voices), "min": a.min(), "max": max(a.max(), b.max()),
        "median": np.median(voices),
    }  # fmt: skip
    assert (by_name["0.1"]["runs"][-1], by_name["0.1"]["std"][-1]) == (1, 0)
    assert [by_name["1e-2"][name][-1] for name in ("runs", "mean", "std", "min", "max", "median")] == [0, *[None] * 5]


def test_groups_may_be_given_and_steps_bounded(api: RunningApi, runs: Runs) -> None:
    groups = [{"name": "both", "run_ids": [runs["a"], runs["c"]]}, {"name": "one", "run_ids": [runs["a"]]}]
    found = answered(
        api, "statistics", {"key": "val/loss", "groups": groups, "first_step": 10, "last_step": 12, "cells": 200}
    )
    assert (found["first_steps"], found["last_steps"]) == ([10, 11, 12], [10, 11, 12])
    assert [group["name"] for group in found["groups"]] == ["both", "one"]
    assert found["groups"][0]["mean"] == [(2 * step + ord("a") + ord("c")) / 2 for step in (10, 11, 12)]
    assert found["groups"][1]["mean"] == [step + ord("a") for step in (10, 11, 12)]
    nan = answered(api, "statistics", {"key": "acc", "run_ids": [runs["a"]]})
    assert (nan["groups"][0]["mean"], nan["groups"][0]["runs"]) == ([0.1, None, 0.3], [1, 0, 1])
    assert nan["groups"][0]["name"] is None


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({}, "either `groups` or `run_ids`"),
        ({"run_ids": ["a"], "groups": [{"name": "a", "run_ids": ["a"]}]}, "either `groups` or `run_ids`"),
        ({"groups": [{"name": "a", "run_ids": ["a"]}], "group_by": "params.lr"}, "parted already"),
        ({"groups": [{"name": "a", "run_ids": ["a"]}, {"name": "a", "run_ids": ["b"]}]}, "give each its own"),
        ({"run_ids": ["a"], "group_by": "metrics.lr"}, "group_by"),
        ({"run_ids": ["a"], "first_step": 2, "last_step": 1}, "first_step 2 is greater"),
        ({"run_ids": ["a"], "cells": 1001}, "cells"),
    ],
)
def test_a_question_that_can_not_be_answered_is_refused(api: RunningApi, question: dict[str, Any], said: str) -> None:
    status, message = refused(post(api, "statistics", {"key": "loss", **question}))
    assert status == 400
    assert said in message
