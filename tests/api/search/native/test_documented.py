"""docs/search.md tells the truth: each of its filters finds the runs that stand beside it, on both databases."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from mltrail_api.search.native.parse import parse_filter
from mltrail_api.search.native.subject import NATIVE
from mltrail_api.v1.run_search import RunSearch
from mltrail_core.errors import Invalid
from mltrail_core.readmodel.store import ReadModel
from mltrail_core.readmodel.tables import metric_summaries
from tests.api.search.native.searching import held
from tests.api.search.sample import SampleDataset, SampleExperiment, SampleRun, fill

DOC = (Path(__file__).parents[4] / "docs" / "search.md").read_text()
_DAY_US = 86_400_000_000
_FIRST_US = 1_793_520_000_000_000
"""2026-11-01 08:00 UTC."""
_LOSSES = {"adam": (0.9, 0.1, 0.3), "sgd": (0.8, 0.5)}
RUNS = (
    SampleRun(
        "adam",
        name="adam",
        started_us=_FIRST_US,
        ended_us=_FIRST_US + 7_200_000_000,
        params={"optimizer": "adam", "lr": "0.1"},
        metrics={"loss": 0.3, "acc": 0.9},
        tags={"team": "vision"},
        datasets=(SampleDataset("iris", context="train"),),
    ),
    SampleRun(
        "sgd",
        name="sgd",
        started_us=_FIRST_US + _DAY_US,
        ended_us=_FIRST_US + _DAY_US + 1_800_000_000,
        params={"optimizer": "sgd", "lr": "0.01"},
        metrics={"loss": 0.5, "acc": 0.7},
        tags={"team": "vision"},
        datasets=(SampleDataset("iris", context="eval"),),
    ),
    SampleRun(
        "bert-12",
        "8",
        name="bert-12",
        status="RUNNING",
        started_us=_FIRST_US + 2 * _DAY_US,
        params={"optimizer": "AdamW"},
        metrics={"loss": 2.5, "val/loss": 3.0},
        tags={"team": "nlp"},
    ),
    SampleRun(
        "broken",
        "8",
        name="broken",
        status="FAILED",
        started_us=_FIRST_US + 3 * _DAY_US,
        ended_us=_FIRST_US + 3 * _DAY_US + 60_000_000,
        metrics={"loss": math.nan},
        tags={"note": "it's NaN"},
    ),
)


def _examples() -> dict[str, str]:
    rows = re.findall(r"^\| (`+) ?(.+?) ?\1 \| ([^|]+) \|$", DOC.split("| filter | finds |")[1], re.MULTILINE)
    return {text.replace("\\|", "|"): found for _, text, found in rows}


def _fill(read_model: ReadModel) -> None:
    fill(read_model, RUNS, [SampleExperiment(name="vision"), SampleExperiment("8", "text")])
    summaries = metric_summaries.c
    with read_model.writing(read_model.live_generation()) as connection:
        for run_id, losses in _LOSSES.items():
            numbers = {"first_value": losses[0], "min_value": min(losses), "max_value": max(losses)}
            steps = {
                "min_step": losses.index(min(losses)),
                "max_step": 0,
                "first_step": 0,
                "last_step": len(losses) - 1,
            }
            is_loss = (summaries.run_id == run_id) & (summaries.key == "loss")
            update = metric_summaries.update().where(is_loss)
            connection.execute(update.values(logged_points=len(losses), **numbers, **steps))


def test_each_example_finds_what_is_written_beside_it(read_model: ReadModel) -> None:
    _fill(read_model)
    examples = _examples()
    assert len(examples) > 25
    for text, expected in examples.items():
        found = set(held(read_model, text).split())
        assert found == set(expected.split(", ")), text


def test_the_fault_is_shown_as_documented() -> None:
    with pytest.raises(Invalid) as refused:
        parse_filter("params.lr = 0.1")
    shown = "\n".join(f"    {line}" for line in str(refused.value).split("\n"))
    assert shown in DOC


def test_every_field_of_a_search_and_every_attribute_is_documented() -> None:
    for name in (*RunSearch.model_fields, *set(NATIVE.attributes.values()) - {"user_id"}):
        assert f"`{name}`" in DOC, name
