"""mltrail answers as MLflow's server does: status class, error code and data; where stock fails, ours refuses."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.compat.cases import GROUPS
from tests.compat.conftest import Answerer
from tests.compat.random_filters import filters, orders, random_runs
from tests.compat.script import Case, Group, case, post
from tests.thorough import examples

CASES = [pytest.param(group, case, id=f"{group.name}: {case.name}") for group in GROUPS for case in group.cases]
OF_DATABASES = ("experiments/search", "history", "logged-models/search", "runs/search")
"""The groups whose answers depend on what SQL a database understands; the others hold for either, once."""
ON_POSTGRES = [
    pytest.param(group, case, id=f"{group.name}: {case.name}, on PostgreSQL")
    for group in GROUPS
    if group.name in OF_DATABASES
    for case in group.cases
]
RANDOM = Group("random runs", random_runs(seed=7), ())


@pytest.mark.parametrize("ours", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("group", "case"), CASES)
def test_answers_are_equal(stock: Answerer, ours: Answerer, group: Group, case: Case) -> None:
    assert_answers_equal(stock, ours, group, case)


@pytest.mark.parametrize("ours", ["postgres"], indirect=True)
@pytest.mark.parametrize(("group", "case"), ON_POSTGRES)
def test_answers_are_equal_whatever_the_database(stock: Answerer, ours: Answerer, group: Group, case: Case) -> None:
    assert_answers_equal(stock, ours, group, case)


def assert_answers_equal(stock: Answerer, ours: Answerer, group: Group, case: Case) -> None:
    expected, found = stock.answers(group, case), ours.answers(group, case)
    differences = []
    for number, (theirs, mine) in enumerate(zip(expected, found, strict=True)):
        if theirs.status == "5xx" and theirs.error_code != "NOT_IMPLEMENTED":  # which is an answer, not a failure
            if (mine.status, mine.error_code) != ("4xx", "INVALID_PARAMETER_VALUE"):
                differences.append(f"{case.calls[number]}: stock fails, ours should refuse: {mine}")
        elif theirs != mine:
            differences.append(f"{case.calls[number]}\n stock: {theirs}\n ours:  {mine}")
    if case.superset:
        assert differences, f"ours answers as stock does: take away the exemption ({case.superset})"
        return
    assert not differences, "\n".join(differences)


@pytest.mark.parametrize("ours", ["sqlite", "postgres"], indirect=True)
@settings(max_examples=examples(15, 40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(filter_string=filters, order_by=orders)
def test_random_searches_find_the_same_runs(
    stock: Answerer, ours: Answerer, filter_string: str, order_by: list[str]
) -> None:
    body = {"experiment_ids": ["{exp}"], "filter": filter_string, "order_by": order_by}
    search = case(f"{filter_string} {order_by}", post("/runs/search", body))
    assert ours.answers(RANDOM, search) == stock.answers(RANDOM, search)


def test_there_are_enough_cases_of_different_names() -> None:
    names = [parameters.id for parameters in CASES]
    assert len(names) >= 250
    assert len(set(names)) == len(names)
    assert {group.name for group in GROUPS} > set(OF_DATABASES)
