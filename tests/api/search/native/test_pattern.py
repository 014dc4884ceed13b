"""Regular expressions: our automaton, PostgreSQL and Python agree on all that is allowed, and nothing is slow."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from mltrail_api.search.native.automaton import matcher_of
from mltrail_api.search.native.pattern import MAX_CHARACTERS, PatternError, parse_pattern
from mltrail_api.search.native.pattern_text import postgres_text
from mltrail_core.readmodel.store import open_read_model
from tests.servers import PostgresServer
from tests.thorough import examples

_ATOMS = st.sampled_from(
    [
        "a",
        "b",
        "B",
        "é",
        ".",
        r"\d",
        r"\W",
        r"\s",
        r"\.",
        r"\n",
        "[ab]",
        "[^a]",
        "[b-d]",
        r"[\d_-]",
        r"[^\s\]]",
        "-",
        "]",
        "}",
    ]
)
_ENDS = st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,}", "*?", "+?", "{0}"])
_PATTERNS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
        st.tuples(inner, _ENDS).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        inner.map(lambda part: f"^{part}"),
        inner.map(lambda part: f"{part}$"),
    ),
    max_leaves=6,
)
_TEXTS = st.lists(st.text(st.sampled_from("abBcd1_-é \n].}"), max_size=8), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def connection(postgres_server: PostgresServer) -> Iterator[Connection]:
    url = postgres_server.create_database("patterns")
    with contextlib.closing(open_read_model(url)) as opened, opened.reading() as reading:
        yield reading
    postgres_server.drop_database("patterns")


@settings(max_examples=examples(50, 120), deadline=None)
@given(_PATTERNS, st.booleans(), _TEXTS)
def test_all_engines_agree(connection: Connection, pattern: str, folds_case: bool, texts: list[str]) -> None:
    given_pattern = f"(?i){pattern}" if folds_case else pattern
    flags = re.DOTALL | re.ASCII | (re.IGNORECASE if folds_case else 0)
    # Python's `$` also stands before a last newline.
    expected = [re.search(re.sub(r"\$", r"\\Z", pattern), one, flags) is not None for one in texts]
    assert [matcher_of(given_pattern).holds(one) for one in texts] == expected
    asked = {"pattern": postgres_text(parse_pattern(given_pattern)), "texts": texts}
    query = text(
        "SELECT value ~ :pattern FROM unnest(CAST(:texts AS text[])) WITH ORDINALITY AS t(value, n) ORDER BY n"
    )
    assert list(connection.execute(query, asked).scalars()) == expected


@pytest.mark.parametrize(
    ("pattern", "position", "fault"),
    [
        ("a(b", 1, "not closed"),
        ("ab)", 2, "closes no group"),
        ("a[b", 1, "not closed"),
        ("*a", 0, "repeats nothing"),
        ("a**", 2, "repeats a repetition"),
        ("a{2", 1, "not closed"),
        ("a{x}", 1, "expected {m}"),
        ("a{256}", 1, "up to 255"),
        ("a{3,2}", 1, "contradict"),
        ("^*", 0, "can't be repeated"),
        ("(?=a)", 0, "only plain groups"),
        ("(?P<n>a)", 0, "only plain groups"),
        (r"(a)\1", 3, "is not known"),
        (r"\b", 0, "is not known"),
        ("a\\", 1, "ends too early"),
        ("[z-a]", 2, "a later one"),
        (r"[\d-z]", 3, "a later one"),
        ("[[:alpha:]]", 1, "class in a class"),
        (r"[^\s\S]", 0, "no character at all"),
        ("(a{255}){255}", 0, "states"),
        ("a{0}" * 200 + "b" * 400, 0, "at most"),
        ("(" * 40 + "a" + ")" * 40, 31, "nested"),
        ("a" * (MAX_CHARACTERS + 1), 0, "characters"),
    ],
)
def test_what_is_not_in_the_subset_is_refused_at_its_place(pattern: str, position: int, fault: str) -> None:
    with pytest.raises(PatternError, match=re.escape(fault)) as refused:
        parse_pattern(pattern)
    assert refused.value.position == position


@settings(max_examples=examples(50, 120), deadline=None)
@given(st.text(st.sampled_from(r"ab()[]{}^$.*+?|\-,0129dwsé") | st.characters(codec="utf-8"), max_size=20))
def test_no_pattern_does_worse_than_be_refused(pattern: str) -> None:
    with contextlib.suppress(PatternError):
        postgres_text(parse_pattern(pattern))
        matcher_of(pattern).holds("ab01 é\n")


@pytest.mark.parametrize(
    ("pattern", "text_"),
    [
        ("(a*)*b", "a" * 20_000),
        ("(a|aa)+$", "a" * 20_000 + "b"),
        ("(.*)(.*)(.*)(.*)(.*)x", "y" * 20_000),
        ("(x+x+)+y", "x" * 20_000),
        ("^(([a-z])+.)+[A-Z]([a-z])+$", "a" * 20_000),
    ],
)
def test_a_pattern_that_makes_others_backtrack_takes_one_pass(pattern: str, text_: str) -> None:
    began_s = time.process_time()
    assert not matcher_of(pattern).holds(text_)
    assert time.process_time() - began_s < 5


def test_what_is_remembered_of_a_pattern_is_bounded_and_forgetting_changes_no_answer() -> None:
    holds = matcher_of("(a|b)*a(a|b){40}c").holds
    texts = [
        f"{number:b}".replace("0", "a").replace("1", "b") * 9 + end
        for number in range(2**12, 2**12 + 60)
        for end in "cb"
    ]
    assert [holds(one) for one in texts] == [re.search("a[ab]{40}c", one) is not None for one in texts]
