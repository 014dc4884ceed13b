"""What may be passed: numbers and sequences of any library; a wrong argument raises at the call."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import mltrail
from mltrail_core.ids import partition_of
from tests.sdk.projected import ProjectedLog


def test_numbers_of_other_libraries_are_numbers(folder: Path, projected: ProjectedLog) -> None:
    class Scalar:
        def __float__(self) -> float:
            return 0.25

    mltrail.init(folder)
    with mltrail.start_run() as run:
        run.log_metric("a", np.float32(0.5), step=np.int64(3))  # type: ignore[arg-type]
        run.log_metric("a", 1, step=4.0)  # type: ignore[arg-type]
        run.log_metric("a", True, step=5)
        run.log_metric("a", Scalar(), step=6)  # type: ignore[arg-type]
        run.log_metric("a", np.array(0.125), step=7)  # type: ignore[arg-type]
    assert [(p.step, p.value) for p in projected.points(run.id)] == [(3, 0.5), (4, 1), (5, 1), (6, 0.25), (7, 0.125)]


@pytest.mark.parametrize(
    ("key", "value", "step", "error", "message"),
    [
        ("loss", "0.5", 0, TypeError, "should be a number"),
        ("loss", None, 0, TypeError, "should be a number"),
        ("loss", [1.0], 0, TypeError, "should be a number"),
        ("loss", np.zeros(3), 0, TypeError, "should be one number"),
        ("loss", 10**400, 0, ValueError, "64-bit float"),
        ("loss", 0.5, math.nan, ValueError, "whole number"),
        ("loss", 0.5, 1.5, ValueError, "whole number"),
        ("loss", 0.5, "1", TypeError, "step should be an integer"),
        ("loss", 0.5, 2**63, ValueError, "does not fit 64 bits"),
        ("k" * 251, 0.5, 0, ValueError, "251 characters"),
        ("", 0.5, 0, ValueError, "empty"),
        ("a?b", 0.5, 0, ValueError, "may only hold"),
        (7, 0.5, 0, TypeError, "should be a str"),
        (["loss"], 0.5, 0, TypeError, "should be a str"),
    ],
)
def test_a_wrong_metric_raises_at_the_call_and_is_not_logged(
    folder: Path,
    projected: ProjectedLog,
    key: object,
    value: object,
    step: object,
    error: type[Exception],
    message: str,
) -> None:
    mltrail.init(folder)
    with mltrail.start_run() as run:
        with pytest.raises(error, match=message):
            run.log_metric(key, value, step)  # type: ignore[arg-type]
        if not isinstance(key, list):
            with pytest.raises(error, match=message):
                run.log_metrics({"fine": 1.0, key: value}, step)  # type: ignore[dict-item, arg-type]
    assert projected.rows("metric_blocks") == []


def test_wrong_params_tags_and_names_raise_at_the_call(folder: Path) -> None:
    mltrail.init(folder)
    with pytest.raises(ValueError, match="experiment's name"):
        mltrail.start_run(experiment="x" * 501)
    with pytest.raises(ValueError, match="not the id of a run"):
        mltrail.start_run(run_id="no run")
    with mltrail.start_run() as run:
        with pytest.raises(ValueError, match="6001 characters"):
            run.log_param("long", "x" * 6001)
        with pytest.raises(ValueError, match="8001 characters"):
            run.set_tag("long", "x" * 8001)
        with pytest.raises(ValueError, match="not valid text"):
            run.set_tag("half", "\ud800")
        with pytest.raises(ValueError, match="expected one of FINISHED"):
            run.end("DONE")
    with pytest.raises(ValueError, match="expected http://"):
        mltrail.init("ftp://host")
    with pytest.raises(ValueError, match=r"a server is http://localhost:5000, a folder of that name \./localhost:5000"):
        mltrail.init("localhost:5000")


def test_log_series_takes_any_sequence_and_splits_it_into_records(folder: Path, projected: ProjectedLog) -> None:
    class Tensor:
        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
            return np.arange(3, dtype=np.float32)

    mltrail.init(folder)
    with mltrail.start_run() as run:
        values = np.random.default_rng(0).normal(size=50_000)
        sent = values.copy()
        run.log_series("long", np.arange(50_000), values)
        values[:] = 0  # what was logged is what was there at the call
        run.log_series("list", [3, 1, 2], [0.5, math.nan, 1])
        run.log_series("tensor", range(3), Tensor(), times_us=[7, 8, 9])
        run.log_series("empty", [], [])
    assert projected.values(run.id, "long") == sent.tolist()
    points = projected.points(run.id)
    assert [(p.step, p.value) for p in points if p.key == "list" and p.step != 1] == [(3, 0.5), (2, 1.0)]
    assert [(p.step, p.value, p.time_us) for p in points if p.key == "tensor"] == [(0, 0, 7), (1, 1, 8), (2, 2, 9)]
    assert not [p for p in points if p.key == "empty"]
    records = [row for row in projected.rows("producers") if row["partition"] == partition_of(run.id)]
    assert int(str(records[0]["last_sequence"])) >= 3
    projected.assert_complete(run.id)


@pytest.mark.parametrize(
    ("steps", "values", "error", "message"),
    [
        ([1, 2], [1.0], ValueError, "one length"),
        ([0.5], [1.0], ValueError, r"steps\[0\] is 0.5"),
        ([math.nan], [1.0], ValueError, "whole number"),
        ([2**63], [1.0], ValueError, "does not fit 64 bits"),
        ([1], ["a"], TypeError, "should be numbers"),
        ([1], [[1.0]], ValueError, "one-dimensional"),
        ([1], [1j], TypeError, "should be numbers"),
        ([1], [None], TypeError, "should be numbers"),
    ],
)
def test_a_wrong_series_raises_at_the_call(
    folder: Path, steps: object, values: object, error: type[Exception], message: str
) -> None:
    mltrail.init(folder)
    with mltrail.start_run() as run, pytest.raises(error, match=message):
        run.log_series("s", steps, values)
