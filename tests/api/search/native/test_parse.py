"""What native filters are refused for, and how it is said. What they mean is shown by test_condition."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrail_api.search.native.order import parse_order
from mltrail_api.search.native.parse import MAX_DEPTH, MAX_PATTERNS, parse_filter
from mltrail_api.search.native.selection import parse_columns
from mltrail_api.search.parse import MAX_COMPARISONS, MAX_LISTED_VALUES, MAX_PATTERN_CHARACTERS
from mltrail_core.errors import Invalid
from tests.thorough import examples


@pytest.mark.parametrize(
    ("text", "column", "fault"),
    [
        ("params.a = 'x' OR", 18, "the string ends where '(' or NOT or a column such as metrics.accuracy is expected"),
        ("OR params.a = 'x'", 1, "found 'OR'"),
        ("(params.a = 'x'", 16, "the string ends where"),
        ("params.a = 'x')", 15, "found ')'"),
        ("params.a =", 11, "the string ends where a number or a quoted string is expected"),
        ("metrics.a BETWEEN 1 OR 2", 21, "found 'OR' where AND is expected"),
        ("metrics.a BETWEEN 1", 20, "the string ends where AND is expected"),
        ("params.a == 'x'", 10, "can be compared by = != LIKE ILIKE ~ !~, not by =="),
        ("metrics.a ~ 'x'", 11, "can be compared by = != < <= > >=, not by ~"),
        ("metrics.a.min LIKE 'x'", 15, "metric 'a', min, can be compared by"),
        ("params.a = 0.1", 12, "such as '0.1', not with 0.1"),
        ("params.a IN (1)", 14, "such as '1', not with 1"),
        ("metrics.a > '1'", 13, "compared with a number, without quotes"),
        ("metrics.a IN (1, '2')", 18, "compared with a number, without quotes"),
        ("start_time > 'yesterday'", 14, "a time such as '2026-11-01'"),
        ("start_time IN ('2026-02-30')", 16, "a time such as"),
        ("duration > '3 weeks'", 12, "a text such as '90 s'"),
        ("params.a BETWEEN 1 AND 2", 1, "BETWEEN can follow metrics, times and durations"),
        ("params.a NOT = 'x'", 10, "NOT stands before LIKE"),
        ("params.a IS NAN", 13, "only values of metrics can be NaN"),
        ("metrics.a.count IS NAN", 20, "only values of metrics can be NaN"),
        ("params.a ~ 'x(y'", 14, "in the regular expression: the group is not closed"),
        ("params.a IN ()", 14, "found ')' where a number or a quoted string is expected"),
        ("models.foo = 'x'", 1, "'foo' is not one of a model's id, input, output, name"),
        ("foo = 'x'", 1, "'foo' is not one of the attributes"),
        ("foo.a = 'x'", 1, "'foo' is not one of metric, metrics"),
        ("params.a = '\0'", 13, "can't be searched for"),
        ("(" * (MAX_DEPTH + 2) + "params.a = 'x'" + ")" * (MAX_DEPTH + 2), MAX_DEPTH + 3, "deep in each other"),
        ("NOT " * 3_000 + "params.a = 'x'", 4 * MAX_DEPTH + 1, "deep in each other"),
        (f"params.a LIKE '{'%' * (MAX_PATTERN_CHARACTERS + 1)}'", 15, "at most 10000 characters"),
        ("params.a ~ 'x' " * (MAX_PATTERNS + 1), 15 * MAX_PATTERNS + 12, "at most 10 regular expressions"),
        (f"run_id IN ({', '.join(['5'] * (MAX_LISTED_VALUES + 1))})", 30_012, "is the limit"),
        (f"start_time > {'9' * 5000}", 14, "too many"),
    ],
)
def test_a_fault_is_shown_at_its_place_with_what_is_expected(text: str, column: int, fault: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_filter(text)
    message, shown, caret = str(refused.value).rsplit("\n", 2)
    assert message.startswith(f"filter, line 1, column {column}: ")
    assert fault in message
    place = caret.index("^")
    assert shown[place : place + 5].strip("\0 ") == text[column - 1 : column + 4].strip("\0 ")


def test_the_line_of_the_fault_is_shown() -> None:
    with pytest.raises(Invalid) as refused:
        parse_filter("params.a = 'x'\n  AND params.b = 3\n  AND params.c = 'y'")
    assert str(refused.value).splitlines() == [
        "filter, line 2, column 18: parameter 'b' is a text and compared with a quoted one, such as '3', not with 3",
        "    AND params.b = 3",
        "                   ^",
    ]


@pytest.mark.parametrize(
    "text",
    [
        " OR ".join(["params.a = 'x'"] * (MAX_COMPARISONS + 1)),
        f"end_time IN ({', '.join(['5'] * (MAX_COMPARISONS + 1))})",
        "metrics.a BETWEEN 1 AND 2 " * (MAX_COMPARISONS // 2 + 1),
    ],
)
def test_too_many_comparisons_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match="comparisons, which is the limit"):
        parse_filter(text)


_PIECES = st.sampled_from(
    [
        *("metrics.a", "params.`b`.c", "tags.x.min", "status", "start_time", "models.id", "duration", "experiment"),
        *("=", "!=", "<", "~", "!~", "LIKE", "IN", "NOT", "BETWEEN", "AND", "OR", "IS", "NULL", "NAN", "(", ")", ","),
        *("1", "-2.5", "'x'", '"(a|"', "'2026-11-01'", "'1h'", "1e999", "\n", "%", "é"),
    ]
)


@settings(max_examples=examples(60, 200), deadline=None)
@given(st.lists(_PIECES, max_size=14).map(" ".join) | st.text(max_size=30))
def test_no_text_does_worse_than_be_refused(text: str) -> None:
    for parse in (parse_filter, lambda name: parse_order([name]), lambda name: parse_columns([name])):
        with contextlib.suppress(Invalid):
            parse(text)


def test_an_order_that_is_none_is_refused_at_its_place() -> None:
    with pytest.raises(Invalid, match=r"^order_by, line 1, column 1: a dataset can't be sorted by\n  datasets.name"):
        parse_order(["datasets.name"])
    with pytest.raises(Invalid, match="sorted by twice"):
        parse_order(["metrics.a.min", "metrics.a.min DESC"])
    assert len(parse_order(["metrics.a.min", "metrics.a", "metrics.`a.min` DESC"])) == 3
