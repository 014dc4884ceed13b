"""The verdict on a round of faults sees what is lost, doubled or made up, and excuses only what durability excuses."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from itertools import islice

import pytest

from tests.acceptance.fault_rounds.arrived import ArrivedRun, Fact, ProducerMarks
from tests.acceptance.fault_rounds.calls import calls_of
from tests.acceptance.fault_rounds.journal import Line
from tests.acceptance.fault_rounds.judge import facts_of, judge
from tests.acceptance.fault_rounds.trainer import Order
from tests.acceptance.fault_rounds.trainers import Incarnation

CALLS = 40
KILLED_NS = 10_000_000_000
BEFORE_NS = 10_000_000
"""Call 40 returned so long before the kill, call 39 twice as long, and so on: the last ten are excused."""
ORDER = Order("1-1-0", 0, "http://127.0.0.1:1", "batch", "", None, 1.0, 0)


@pytest.fixture
def killed() -> Iterator[Incarnation]:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        lines = [Line(number, KILLED_NS - (CALLS + 1 - number) * BEFORE_NS, 0) for number in range(1, CALLS + 1)]
        yield Incarnation(ORDER, process, Future(), KILLED_NS, lines)


def arrived(by: Incarnation, count: int = CALLS, *, intervals: str = "1-5", last: int | None = None) -> ArrivedRun:
    """Return a run that has what the first `count` calls said."""
    facts: Counter[Fact] = Counter(
        fact for call in islice(calls_of(ORDER.name, 0, 0), count) for fact in facts_of(call)
    )
    return ArrivedRun("FINISHED", facts, (ProducerMarks(by.process.pid, intervals, last),), ())


def test_all_that_was_said_is_right_with_or_without_the_call_that_was_going_on(killed: Incarnation) -> None:
    assert judge([killed], arrived(killed)).faults == []
    assert judge([killed], arrived(killed, CALLS + 1)).faults == []


def test_what_returned_just_before_the_kill_may_be_lost_and_its_age_is_said(killed: Incarnation) -> None:
    verdict = judge([killed], arrived(killed, CALLS - 5))
    assert verdict.faults == []
    assert verdict.lost_ns == 5 * BEFORE_NS


def test_what_returned_longer_before_the_kill_may_not(killed: Incarnation) -> None:
    [fault] = judge([killed], arrived(killed, CALLS - 12)).faults
    assert "2 calls are lost" in fault
    assert "29, returned 120 ms before the kill" in fault


def test_a_machine_that_was_busy_excuses_more(killed: Incarnation) -> None:
    killed.lines = [dataclasses.replace(line, hiccup_ns=10_000_000) for line in killed.lines]
    assert judge([killed], arrived(killed, CALLS - 11)).faults == []


def test_durability_sync_excuses_nothing_that_a_call_returned_from(killed: Incarnation) -> None:
    killed.order = dataclasses.replace(ORDER, durability="sync")
    [fault] = judge([killed], arrived(killed, CALLS - 1)).faults
    assert "1 calls are lost" in fault


def test_the_end_of_a_process_excuses_nothing(killed: Incarnation) -> None:
    killed.killed_ns = None
    assert judge([killed], arrived(killed, intervals="1-5", last=5)).faults == []
    assert "1 calls are lost" in judge([killed], arrived(killed, CALLS - 1, last=5)).faults[0]
    assert "missing 3" in judge([killed], arrived(killed, intervals="1-2,4-5", last=5)).faults[0]
    assert "end unknown" in judge([killed], arrived(killed)).faults[0]
    running = dataclasses.replace(arrived(killed, last=5), status="RUNNING")
    assert "the run is RUNNING" in judge([killed], running).faults[0]


def test_a_hole_in_what_a_killed_process_sent_is_a_fault(killed: Incarnation) -> None:
    [fault] = judge([killed], arrived(killed, intervals="1-2,4-5")).faults
    assert "missing 3 of 1-5" in fault


def test_what_is_there_twice_or_was_never_said_is_a_fault(killed: Incarnation) -> None:
    run = arrived(killed)
    point = next(fact for fact in run.facts if fact[0] == "point")
    run.facts[point] += 1
    run.facts["point", "loss", 7, 0.5] += 1
    doubled, unknown = judge([killed], run).faults
    assert "1 doubled" in doubled
    assert "nobody has said: ('point', 'loss', 7, 0.5)" in unknown
