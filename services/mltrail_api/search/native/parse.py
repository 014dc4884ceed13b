"""From a native filter to what it says, with the rules of what may be compared with what."""

from __future__ import annotations

from dataclasses import dataclass

from lark import Token, Tree

from mltrail_api.search.expression import (
    Column,
    Comparator,
    Entity,
    Membership,
    NumberComparison,
    Presence,
    Summary,
    TextComparison,
)
from mltrail_api.search.grammar import Source, position_of
from mltrail_api.search.names import listed_text
from mltrail_api.search.native.expression import (
    All,
    AnyOf,
    Matching,
    NativeExpression,
    Not,
    NotANumber,
    NumberMembership,
    Unlike,
)
from mltrail_api.search.native.grammar import read_filter
from mltrail_api.search.native.pattern import PatternError, parse_pattern
from mltrail_api.search.native.subject import Kind, kind_of, native_column
from mltrail_api.search.native.values import duration_ms, time_ms
from mltrail_api.search.parse import MAX_COMPARISONS, MAX_LISTED_VALUES, MAX_PATTERN_CHARACTERS
from mltrail_api.search.subject import NUMBER_COMPARATORS, TEXT_COMPARATORS
from mltrail_core.errors import Invalid

MAX_DEPTH = 50
"""Of parentheses and NOT inside each other."""
MAX_PATTERNS = 10
"""Regular expressions of one filter."""

_MATCHES = {"~": False, "!~": True}
_WORDS_OF = {
    Kind.NUMBER: tuple(map(str, NUMBER_COMPARATORS)),
    Kind.TIME: tuple(map(str, NUMBER_COMPARATORS)),
    Kind.DURATION: tuple(map(str, NUMBER_COMPARATORS)),
    Kind.TEXT: (*map(str, TEXT_COMPARATORS), *_MATCHES),
}
_EXPECTED = {
    Kind.NUMBER: "a number, without quotes",
    Kind.TIME: "a number of ms since 1970 or a time such as '2026-11-01' or '2026-11-01T12:30:00+01:00'",
    Kind.DURATION: "a number of ms or a text such as '90 s', '10 min', '1.5 h' or '2 d'",
    Kind.TEXT: "a quoted text",
}


def parse_filter(text: str | None) -> NativeExpression:
    """Return what a native filter says; nothing says everything.

    Raises:
        Invalid: it is malformed or past a limit; the message shows where.
    """
    if not text:
        return All(())
    source = Source("filter", text, is_shown=True)
    tree = read_filter(source)
    reader = _Reader(source)
    return All(tuple(reader.expression(node, 0) for node in tree.children if isinstance(node, Tree)))


@dataclass(slots=True)
class _Reader:
    """Reads one filter, and counts what there is a limit to."""

    source: Source
    comparisons: int = 0
    listed: int = 0
    patterns: int = 0

    def expression(self, node: Tree[Token], depth: int) -> NativeExpression:
        if depth > MAX_DEPTH:
            raise self._error(_first_token(node), f"parentheses and NOT stand more than {MAX_DEPTH} deep in each other")
        trees = [child for child in node.children if isinstance(child, Tree)]
        match node.data:
            case "both":
                parts = tuple(self.expression(tree, depth + 1) for tree in trees)
                return parts[0] if len(parts) == 1 else All(parts)
            case "either":
                return AnyOf(tuple(self.expression(tree, depth) for tree in trees))
            case "negation":
                return Not(self.expression(trees[0], depth + 1))
            case _:
                return self._leaf(node)

    def _leaf(self, node: Tree[Token]) -> NativeExpression:
        name, *rest = node.children
        assert isinstance(name, Token)
        column = native_column(self.source, name)
        self._count_comparisons(1)
        tokens = [child for child in rest if isinstance(child, Token)]
        is_negated = bool(tokens) and tokens[0].type == "NOT"
        match node.data:
            case "compared":
                comparator, value = tokens[is_negated:]
                return self._compared(column, comparator, value, tokens[0] if is_negated else None)
            case "listed":
                return self._listed(column, rest[is_negated + 1 :], is_negated)
            case "between":
                low, high = tokens[is_negated:]
                return self._between(name, column, low, high, is_negated=is_negated)
            case _:
                return self._present(column, tokens[-1], is_negated)

    def _compared(self, column: Column, comparator: Token, value: Token, negation: Token | None) -> NativeExpression:
        kind, word = kind_of(column), comparator.upper()
        if word not in _WORDS_OF[kind]:
            said = f"{_named(column)} can be compared by {' '.join(_WORDS_OF[kind])}, not by {word}"
            raise self._error(comparator, said)
        if negation is not None and word not in ("LIKE", "ILIKE"):
            raise self._error(negation, f"NOT stands before LIKE, ILIKE, IN, BETWEEN or a whole comparison, not {word}")
        if kind is not Kind.TEXT:
            return NumberComparison(column, Comparator(word), self._number(column, kind, value))
        text = self._text(column, value)
        if word in _MATCHES:
            return self._matching(column, value, text, is_negated=_MATCHES[word])
        if word in ("LIKE", "ILIKE") and len(text) > MAX_PATTERN_CHARACTERS:
            said = f"a pattern has at most {MAX_PATTERN_CHARACTERS} characters; this has {len(text)}"
            raise self._error(value, said)
        if negation is not None:
            return Unlike(column, text, folds_case=word == "ILIKE")
        return TextComparison(column, Comparator(word), text)

    def _matching(self, column: Column, token: Token, text: str, *, is_negated: bool) -> Matching:
        self.patterns += 1
        if self.patterns > MAX_PATTERNS:
            raise self._error(token, f"a filter has at most {MAX_PATTERNS} regular expressions")
        try:
            return Matching(column, parse_pattern(text), is_negated)
        except PatternError as error:
            fault = f"in the regular expression: {error}"
            raise self.source.error(position_of(token) + 1 + error.position, fault) from error

    def _listed(self, column: Column, items: list[Token | Tree[Token]], is_negated: bool) -> NativeExpression:
        self.listed += len(items)
        if self.listed > MAX_LISTED_VALUES:
            said = f"the lists have more than {MAX_LISTED_VALUES} values, which is the limit"
            raise self._error(_first_token(items[-1]), said)
        match kind_of(column):
            case Kind.TEXT:
                return Membership(column, tuple(self._listed_text(column, item) for item in items), is_negated)
            case Kind.NUMBER as kind:
                numbers = tuple(float(self._listed_number(column, kind, item)) for item in items)
                return NumberMembership(column, numbers, is_negated)
            case kind:
                self._count_comparisons(len(items) - 1)
                comparator = Comparator.NOT_EQUAL if is_negated else Comparator.EQUAL
                each = tuple(
                    NumberComparison(column, comparator, self._listed_number(column, kind, item)) for item in items
                )
                return All(each) if is_negated else AnyOf(each)

    def _between(self, name: Token, column: Column, low: Token, high: Token, *, is_negated: bool) -> NativeExpression:
        kind = kind_of(column)
        if kind is Kind.TEXT:
            raise self._error(name, f"BETWEEN can follow metrics, times and durations, not {_named(column)}")
        self._count_comparisons(1)
        first, last = self._number(column, kind, low), self._number(column, kind, high)
        if is_negated:
            below = NumberComparison(column, Comparator.LESS, first)
            return AnyOf((below, NumberComparison(column, Comparator.GREATER, last)))
        from_low = NumberComparison(column, Comparator.GREATER_OR_EQUAL, first)
        return All((from_low, NumberComparison(column, Comparator.LESS_OR_EQUAL, last)))

    def _present(self, column: Column, word: Token, is_negated: bool) -> NativeExpression:
        if word.type == "NULL":
            return Presence(column, is_present=is_negated)
        if column.entity is not Entity.METRIC or column.summary.is_whole:
            raise self._error(word, f"only values of metrics can be NaN, not {_named(column)}")
        return NotANumber(column, is_nan=not is_negated)

    def _number(self, column: Column, kind: Kind, token: Token) -> int | float:
        if token.type == "STRING":
            return self._meant_number(column, kind, token, token[1:-1])
        if kind is Kind.NUMBER:
            return float(token)
        try:
            return int(token) if token.lstrip("-").isdecimal() else float(token)
        except ValueError as error:  # past Python's limit of 4,300 digits
            raise self._error(token, f"{len(token)} digits are too many for {_named(column)}") from error

    def _meant_number(self, column: Column, kind: Kind, token: Token, text: str) -> int | float:
        number = time_ms(text) if kind is Kind.TIME else duration_ms(text) if kind is Kind.DURATION else None
        if number is None:
            raise self._error(token, f"{_named(column)} is compared with {_EXPECTED[kind]}, not with {token}")
        return number

    def _listed_number(self, column: Column, kind: Kind, item: Token | Tree[Token]) -> int | float:
        if isinstance(item, Token):
            return self._number(column, kind, item)
        return self._meant_number(column, kind, _first_token(item), listed_text(self.source, item))

    def _listed_text(self, column: Column, item: Token | Tree[Token]) -> str:
        return self._text(column, item) if isinstance(item, Token) else listed_text(self.source, item)

    def _text(self, column: Column, token: Token) -> str:
        if token.type == "NUMBER":
            said = f"{_named(column)} is a text and compared with a quoted one, such as '{token}', not with {token}"
            raise self._error(token, said)
        return token[1:-1]

    def _count_comparisons(self, count: int) -> None:
        self.comparisons += count
        if self.comparisons > MAX_COMPARISONS:
            raise Invalid(f"filter: it has more than {MAX_COMPARISONS} comparisons, which is the limit")

    def _error(self, token: Token, fault: str) -> Invalid:
        return self.source.error(position_of(token), fault)


def _named(column: Column) -> str:
    of = "" if column.summary is Summary.LAST else f", {column.summary},"
    return f"{column.entity} {column.key!r}{of}"


def _first_token(node: Token | Tree[Token]) -> Token:
    while isinstance(node, Tree):
        node = node.children[0]
    return node
