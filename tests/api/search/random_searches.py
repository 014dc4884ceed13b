"""Random runs, MLflow filters and orders for the tests of search."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from tests.api.search.sample import SampleDataset, SampleRun

_WORDS = st.sampled_from(["", "a", "A", "ab", "aB", "b", "a_b", "a%b", "a*b", "[ab]", "10", "9", "é", "É"])
_KEYS = st.sampled_from(["x", "a b"])
_NUMBERS = st.sampled_from([0.0, -1.5, 2.0, 1e-3, 1e300, math.nan, math.inf, -math.inf])
_TIMES_MS = st.integers(0, 5)
_DATASETS = st.builds(SampleDataset, name=_WORDS, digest=st.just("d"), context=st.none() | _WORDS)


@st.composite
def run_lists(draw: st.DrawFn) -> list[SampleRun]:
    """A few runs of one experiment."""
    return [
        SampleRun(
            f"{number:032x}",
            name=draw(_WORDS),
            user=draw(_WORDS),
            status=draw(st.sampled_from(["RUNNING", "FINISHED", "FAILED"])),
            started_us=draw(_TIMES_MS) * 1000,
            ended_us=draw(st.none() | _TIMES_MS.map(lambda time_ms: time_ms * 1000)),
            params=draw(st.dictionaries(_KEYS, _WORDS, max_size=2)),
            tags=draw(st.dictionaries(_KEYS, _WORDS, max_size=2)),
            metrics=draw(st.dictionaries(_KEYS, _NUMBERS, max_size=2)),
            datasets=tuple(draw(st.lists(_DATASETS, max_size=2, unique_by=lambda dataset: dataset.name))),
        )
        for number in range(draw(st.integers(3, 8)))
    ]


_PATTERNS = st.sampled_from(["%", "_", "a%", "%b", "A_", "a_b", "%[%", "*", "%a%b%", "", "?", "É"])
_NUMBER_COMPARATORS = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
_TEXT_TESTS = st.one_of(
    st.builds("{} '{}'".format, st.sampled_from(["=", "!="]), _WORDS),
    st.builds("{} '{}'".format, st.sampled_from(["LIKE", "ILIKE"]), _PATTERNS.filter(lambda pattern: pattern != "É")),
    st.builds("LIKE '{}'".format, _PATTERNS),
)
_LISTS = st.builds(
    "{} ({})".format,
    st.sampled_from(["IN", "NOT IN"]),
    st.lists(_WORDS.map(repr), min_size=1, max_size=3).map(", ".join),
)
_COMPARISONS = st.one_of(
    st.builds("metrics.`{}` {} {}".format, _KEYS, _NUMBER_COMPARATORS, st.sampled_from(["0", "-1.5", "1e-3", "3."])),
    st.builds("params.`{}` {}".format, _KEYS, _TEXT_TESTS | st.sampled_from(["IS NULL", "IS NOT NULL"])),
    st.builds('tags."{}" {}'.format, _KEYS, _TEXT_TESTS | st.sampled_from(["is null", "is not null"])),
    st.builds("{} {}".format, st.sampled_from(["status", "run_name", "attr.user_id", "run.run_id"]), _TEXT_TESTS),
    st.builds("dataset.{} {}".format, st.sampled_from(["name", "context"]), _TEXT_TESTS | _LISTS),
    st.builds("{} {} {}".format, st.sampled_from(["start_time", "end_time"]), _NUMBER_COMPARATORS, st.integers(-1, 6)),
    st.builds("run_id {} ('{:032x}')".format, st.sampled_from(["IN", "NOT IN"]), st.integers(0, 8)),
)
FILTER_LISTS = st.lists(st.lists(_COMPARISONS, max_size=2).map(" AND ".join), min_size=4, max_size=12)
ORDERS = st.lists(
    st.builds(
        "{} {}".format,
        st.sampled_from(["metrics.x", "params.`a b`", "tags.x", "start_time", "end_time", "status", "run_name"]),
        st.sampled_from(["ASC", "DESC"]),
    ),
    max_size=3,
    unique_by=lambda clause: clause.split()[0],
)
