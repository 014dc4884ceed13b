"""Our parser against the stock server's own: the same strings accepted with the same meaning, the same refused."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrail_api.search.parse import (
    MAX_COMPARISONS,
    MAX_LISTED_VALUES,
    MAX_ORDER_TERMS,
    MAX_PATTERN_CHARACTERS,
    parse_experiment_filter,
    parse_experiment_order,
    parse_run_filter,
    parse_run_order,
)
from mltrail_core.errors import Invalid
from tests.api.search.stock import (
    REFUSED,
    our_filter,
    our_order,
    stock_experiment_filter,
    stock_experiment_order,
    stock_run_filter,
    stock_run_order,
)
from tests.thorough import examples

ACCEPTED = r'''
metrics.x > 1
metric.x>=1
metrics.x1<-1
metrics.x = .5
metrics.x != 1.
metrics.x <= 1e5
metrics.x < -1.5E-3
metrics.x > 1e400
metrics.x = 99999999999999999999999
metrics._x > 1
metrics.1x > 1
metrics.user > 1
metrics."x y" > 1
metrics.`x/y` > 1
`metrics`.x > 1
params.a = 'x'
param.a = 'x'
parameter.a = 'x'
parameters.a = 'x'
params.a = "x"
params.a = ''
params.a = ' x '
params.a='it''s'
params.a = 'it\'s'
params.a = "say ""hi"""
params.a = "say \"hi"
params.a = "x" AND "status" = "y"
params.a.b.c != 'x'
params.été = 'é'
params.日本 = 'x'
params.select = 'x'
params.AND = 'x'
params.'a b' = 'x'
params."a b" = 'x'
params."`a`" = 'x'
params.`"a"` = 'x'
params.`a``b` = 'x'
params.`` = 'x'
params.`a.b` = 'x'
params.a LIKE '%x_'
params.a like 'x'
params.a ILIKE'x'
params.a iLike "x"
params.a IS NULL
params.a is not null
tags.a Is Null
tag.`mlflow.source.name` = 'x'
tags.mlflow.source.name = 'x'
attributes.status = 'RUNNING'
attribute.status = 'x'
attr.status != 'x'
run.status LIKE 'x'
status ILIKE 'x'
`status` = 'x'
"status" = 'x'
attributes.`status` = 'x'
attributes."status" = 'x'
run_id = 'x'
run_id IN ('a')
run_id in ('a','b',)
run_id IN("a", 'b')
run_id IN ('a' 'b')
run_id IN ('a\n\'b')
run_id NOT IN ('a')
attributes.run_id not in ('a','b')
run_name = 'x'
attributes.`run name` = 'x'
attributes.`Run name` LIKE 'x'
`Run Name` = 'x'
user_id = 'x'
artifact_uri LIKE 's3:%'
start_time > 5
attributes.start_time <= 5.5
created = 5
attribute.Created != -5
end_time >= 5
dataset.name = 'x'
datasets.digest LIKE 'x'
dataset.context != 'x'
datasets.name IN ('a', 'b')
dataset.context NOT IN ('a')
params.a = 'x' AND metrics.b > 1
params.a='x'and params.b='y'
params.a = 'x' AND run_id NOT IN ('a','b') and metrics.b<=3
params.a = 'x' AND AND params.b = 'y'
and params.a = 'x' and
AND
params.a = 'x' params.b = 'y'
metrics.a > 1. AND metrics.b > .5
params.a IS NULL AND params.b IS NOT NULL
params.a = 'OR' AND tags.b = ' AND '
'''.strip("\n").split("\n")
ACCEPTED += ["", "\nmetrics.a > 1\t AND\r\nparams.b = 'x\ny'\n"]

REFUSED_BY_BOTH = r"""
metrics
metrics.x
metrics.x >
> 1
metrics.x > '1'
metrics.x > "1"
metrics.x > nan
metrics.x > inf
metrics.x > +1
metrics.x > - 1
metrics.x > 0x10
metrics.x > 1E+5
metrics.x > 1_000
metrics.x > 1.5.5
metrics.x LIKE 'x'
metrics.x == 1
metrics.x <> 1
metrics.x < = 1
metrics.x =< 1
metrics.x IS NULL
metrics.x IN (1, 2)
metrics.x-y > 1
metrics.x/y > 1
metrics.x>1AND metrics.y>1
metrics.x > metrics.y
5 < metrics.x
params.a > 'x'
params.a = 5
params.a = x
params.a = `x`
params.a == 'x'
params.a = "x" "y"
params.a NOT LIKE 'x'
params.a RLIKE 'x'
params.a IN ('x')
params.a IS 'x'
params.a = NULL
params.a = 'x
params.a = 'x"
params.a b = 'x'
params.a:b = 'x'
params.a$b = 'x'
params .a = 'x'
"params".a = 'x'
`params.a` = 'x'
'status' = 'x'
PARAMS.a = 'x'
Attributes.status = 'x'
foo.a = 'x'
name = 'x'
attributes.name = 'x'
experiment_id = '1'
lifecycle_stage = 'active'
Run name = 'x'
status > 'x'
status = 5
status IS NULL
status IN ('FINISHED', 'FAILED')
run_id = ('a')
run_id IN 'a'
run_id IN ()
run_id IN (1)
run_id IN ('a', 1)
run_id IN ('a'
run_id IN ('a',,'b')
run_id > 'a'
start_time = '5'
start_time LIKE '5'
start_time IN ('5')
start_time IS NOT NULL
dataset.foo = 'x'
dataset.name > 'x'
dataset.name IS NULL
dataset.name = 5
params.a = 'x' OR params.b = 'y'
params.a = 'x' OR
NOT params.a = 'x'
(params.a = 'x')
params.a = 'x' AND (params.b = 'y')
params.a = 'x';
params.a = 'x'; params.b = 'y'
params.a = 'x', params.b = 'y'
params.a = 'x' -- comment
/* comment */ params.a = 'x'
'x' = params.a
params.
.a = 'x'
%
""".strip("\n").split("\n")

ONLY_STOCK_REFUSES = [
    " ",
    "params.from = 'x'",
    "params.a.in = 'x'",
    "metrics.top.1 > 5",
    "params.a IS NOT   NULL",
    "params.a = 'x' run_id IN ('b')",
]
ONLY_STOCK_ACCEPTS = ["params. a = 'x'", "params.[a] = 'x'", 'params.a = "x"."y"', "params.a. = 'x'"]


@pytest.mark.parametrize("text", ACCEPTED)
def test_a_run_filter_that_stock_accepts_means_the_same(text: str) -> None:
    expected = stock_run_filter(text)
    assert expected != REFUSED
    assert our_filter(parse_run_filter, text) == expected


@pytest.mark.parametrize("text", REFUSED_BY_BOTH)
def test_a_run_filter_that_stock_refuses_is_refused_at_a_position(text: str) -> None:
    assert stock_run_filter(text) == REFUSED
    with pytest.raises(Invalid, match=r"^filter string, line 1, column \d+: "):
        parse_run_filter(text)


@pytest.mark.parametrize("text", ONLY_STOCK_REFUSES)
def test_words_and_numbers_in_keys_and_blanks_are_no_reason_to_refuse(text: str) -> None:
    assert stock_run_filter(text) == REFUSED
    assert our_filter(parse_run_filter, text) != REFUSED


@pytest.mark.parametrize("text", ONLY_STOCK_ACCEPTS)
def test_accidents_of_the_stock_parser_are_refused(text: str) -> None:
    assert stock_run_filter(text) != REFUSED
    assert our_filter(parse_run_filter, text) == REFUSED


@pytest.mark.parametrize(
    "text",
    [
        *("name = 'x'", "attribute.name != 'x'", "`name` LIKE 'x%'", '"name" ILIKE "x"', "name = 5", "name > 'x'"),
        *("name IN ('x')", "name IS NULL", "attributes.name = 'x'", "attr.name = 'x'", "lifecycle_stage = 'active'"),
        *("creation_time > 5", "last_update_time <= 5", "creation_time > 5.5", "creation_time = '5'"),
        *("creation_time LIKE '5'", "experiment_id = '1'", "experiment_id != '1'", "experiment_id IN ('1','2')"),
        *("experiment_id NOT IN ('1')", "experiment_id > '1'", "experiment_id LIKE '1'", "experiment_id = 1"),
        *("tags.a = 'x'", "tag.`a b` ILIKE '%x'", "tags.a IS NULL", "tags.a is not null", "tags.a IN ('x')"),
        *("tags.a > 'x'", "params.a = 'x'", "metrics.a > 1", "name = 'x' AND tags.a != 'y' and creation_time < 9"),
        *("name = 'x' OR name = 'y'", "", "name", "run_id = 'x'", "created > 5"),
    ],
)
def test_an_experiment_filter_is_read_as_by_stock(text: str) -> None:
    assert our_filter(parse_experiment_filter, text) == stock_experiment_filter(text)


def test_experiment_filters_take_key_words_in_either_case() -> None:
    assert our_filter(parse_experiment_filter, "name like 'x'") == stock_experiment_filter("name LIKE 'x'")


@pytest.mark.parametrize(
    "text",
    [
        *("metrics.a", "metrics.a DESC", "metrics.a  desc", "metrics.`a b` ASC", "metrics.`a b`", 'metrics."a b" asc'),
        *("params.'a' DESC", "tags.mlflow.source.name", "run.end_time DESC", "start_time Asc", "created DESC"),
        *("Created", "attributes.start_time", "attribute.run_id", "run_name", "status", "artifact_uri", "user_id"),
        *("metrics.desc", "metrics.a.desc desc", "`metrics`.a", "dataset.name", "metrics.a-b", "metrics.a foo", ""),
        *("metrics.a DESC NULLS LAST", "metrics.a, metrics.b", "attributes.`Run name`", "desc", "metrics.a = 1"),
        *("metrics.a DESC DESC", "foo.a", "name", "experiment_id", "METRICS.a", "metrics", "timestamp", "a b c", ";"),
    ],
)
def test_an_order_clause_for_runs_is_read_as_by_stock(text: str) -> None:
    assert our_order(parse_run_order, text) == stock_run_order(text)


@pytest.mark.parametrize(
    "text",
    [
        *("name", "name DESC", "attribute.name asc", "creation_time", "last_update_time desc", "experiment_id DESC"),
        *("tags.a", "params.a", "start_time", "", "name foo", "attributes.name"),
    ],
)
def test_an_order_clause_for_experiments_is_read_as_by_stock(text: str) -> None:
    assert our_order(parse_experiment_order, text) == stock_experiment_order(text)


_COLUMNS = ["metrics.a", "metrics.`a b`", 'params."a.b"', "params.a", "tags.x.y", "tags.'q'", "status", "run_id"]
_COLUMNS += ["attr.start_time", "end_time", "dataset.name", "datasets.context", "name", "foo.a", "param.a-b"]
_COMPARATORS = ["=", "!=", "<", "<=", ">", ">=", "LIKE", "ilike", "IN", "not in", "IS NULL", "is not null", "==", "<>"]
_VALUES = ["1", "-2.5", "1e3", "'a'", '"b c"', "''", "'it''s'", "('a')", "('a', \"b\")", "()", "(1)", "x", "", "'a b"]


@settings(max_examples=examples(80, 200), deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(_COLUMNS), st.sampled_from(_COMPARATORS), st.sampled_from(_VALUES)),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from([" AND ", " and ", "\nAnd\t", " AND AND ", " OR "]),
)
def test_random_filters_are_read_as_by_stock(comparisons: list[tuple[str, str, str]], connector: str) -> None:
    text = connector.join(
        " ".join((column, comparator, "" if "null" in comparator.lower() else value)).strip()
        for column, comparator, value in comparisons
    )
    assert our_filter(parse_run_filter, text) == stock_run_filter(text)


@settings(max_examples=examples(60, 150), deadline=None)
@given(st.text(st.sampled_from("ab.`'\"\\%= ()<1-,\n\0é\ud800") | st.characters(), max_size=40))
def test_no_text_does_worse_than_be_refused(text: str) -> None:
    for prefix in ("", "params.a = ", "run_id IN ("):
        our_filter(parse_run_filter, prefix + text)
    our_order(parse_run_order, text)


def test_the_message_counts_lines_and_columns_and_says_what_is_expected() -> None:
    with pytest.raises(Invalid) as refused:
        parse_run_filter("params.a = 'x'\n  OR params.b = 'y'")
    assert str(refused.value).startswith("filter string, line 2, column 3: found 'OR' where AND or a column")
    with pytest.raises(Invalid, match=r"line 1, column 12: the string ends where a number or a quoted string"):
        parse_run_filter("metrics.a >")
    with pytest.raises(Invalid, match=r"column 15: metric 'b' can be compared by = != < <= > >=, not by LIKE"):
        parse_run_filter("AND metrics.b LIKE 'x'")
    with pytest.raises(Invalid, match=r"^order_by clause 'metrics.a foo', line 1, column 11: found 'foo'"):
        parse_run_order(["metrics.a foo"])


@pytest.mark.parametrize(
    "text", ["params.a = '\0'", "params.a = '\ud800'", r"run_id IN ('\x00')", r"run_id IN ('\ud800')"]
)
def test_characters_that_no_database_stores_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match="can't be searched for"):
        parse_run_filter(text)


@pytest.mark.parametrize(
    "text",
    [
        " AND ".join(["params.a = 'x'"] * (MAX_COMPARISONS + 1)),
        "run_id IN (" + "'a'," * (MAX_LISTED_VALUES + 1) + ")",
        f"params.a LIKE '{'%' * (MAX_PATTERN_CHARACTERS + 1)}'",
        f"start_time > {'9' * 5000}",
        "a" * 1_000_001,
    ],
)
def test_a_filter_past_what_a_database_takes_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match=r"at most|too many"):
        parse_run_filter(text)


def test_too_many_order_clauses_are_refused() -> None:
    with pytest.raises(Invalid, match="at most"):
        parse_run_order([f"metrics.a{number}" for number in range(MAX_ORDER_TERMS + 1)])


@pytest.mark.parametrize(
    "text", ["'" + "\\''" * 30_000, "'" + "''" * 30_000, "'" + "\\" * 60_000, '"' + '\\"' * 30_000]
)
def test_hostile_quoting_costs_no_more_than_its_length(text: str) -> None:
    began_s = time.monotonic()
    our_filter(parse_run_filter, "params.a = " + text)
    our_filter(parse_run_filter, f"params.{text} = 'x'")
    assert time.monotonic() - began_s < 5
