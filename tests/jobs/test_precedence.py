"""Compaction lets a projector that is behind go first, but not for ever."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from mltrail_jobs import compaction
from mltrail_jobs.compaction import compact_metrics
from mltrail_jobs.precedence import PATIENCE_S, Precedence
from tests.jobs.test_compaction import calls, steps, training


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_nobody_waits_for_a_projector_that_has_caught_up() -> None:
    precedence = Precedence(lambda: False)
    precedence.begin_round()
    assert not precedence.must_wait()


def test_a_round_goes_on_after_others_were_held_up_for_long_and_the_next_waits_again() -> None:
    clock = Clock()
    precedence = Precedence(lambda: True, clock)
    precedence.begin_round()
    assert precedence.must_wait()
    clock.now_s += PATIENCE_S - 1
    precedence.begin_round()
    assert precedence.must_wait()
    clock.now_s += 1
    precedence.begin_round()
    assert not precedence.must_wait()
    precedence.begin_round()
    assert precedence.must_wait()


def test_a_round_that_did_all_ends_the_count() -> None:
    clock = Clock()
    precedence = Precedence(lambda: True, clock)
    precedence.begin_round()
    assert precedence.must_wait()
    precedence.end_round()
    clock.now_s += PATIENCE_S
    precedence.begin_round()
    assert precedence.must_wait()


def test_compaction_does_nothing_before_the_projector_has_caught_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "_LOOK_AGAIN_S", 0.001)
    with training(tmp_path) as run:
        run.log_points(steps(0, 20_000))
        assert calls(run.read_model) == 1
        stops = count()
        held_up = compact_metrics(
            run.read_model.url, should_stop=lambda: next(stops) > 10, precedence=Precedence(lambda: True)
        )
        assert (held_up.blocks, held_up.is_done, calls(run.read_model)) == (0, False, 1)
        looks = count()
        caught_up = compact_metrics(run.read_model.url, precedence=Precedence(lambda: next(looks) < 3))
        assert (caught_up.blocks > 0, calls(run.read_model)) == (True, 0)
