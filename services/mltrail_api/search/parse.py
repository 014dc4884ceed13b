"""From MLflow's filter and order strings to expressions, with MLflow's rules of what may be compared with what.

The rules are those of `SearchUtils` and `SearchExperimentsUtils` in `mlflow.utils.search_utils` and of the SQL store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lark import Token, Tree

from mltrail_api.search.expression import (
    And,
    Column,
    Comparator,
    Comparison,
    Entity,
    Membership,
    NumberComparison,
    OrderTerm,
    Presence,
    TextComparison,
)
from mltrail_api.search.grammar import Source, position_of, read_comparisons, read_order
from mltrail_api.search.names import column_of, listed_text
from mltrail_api.search.subject import (
    EXPERIMENTS,
    LOGGED_MODELS,
    MODEL_VERSIONS,
    REGISTERED_MODELS,
    RUNS,
    Subject,
)
from mltrail_core.errors import Invalid

MAX_COMPARISONS = 200
"""Of one filter: planning 500 took PostgreSQL seconds, and SQLite allows no deeper expression than 1,000."""
MAX_LISTED_VALUES = 10_000
"""Of all lists of one filter: SQLite binds at most 32,766 values."""
MAX_PATTERN_CHARACTERS = 10_000
"""Of LIKE and ILIKE: SQLite allows 50,000 bytes."""
MAX_ORDER_TERMS = 20
"""Each may be an outer join: SQLite 3.40 crashes at 35 of them, and refuses 62."""


def parse_run_filter(text: str | None) -> And:
    """Return what a filter string of runs/search says; nothing says everything.

    Raises:
        Invalid: MLflow's server refuses it or fails on it; the message says where the fault is.
    """
    return _parse_filter(text, RUNS)


def parse_experiment_filter(text: str | None) -> And:
    """Return what a filter string of experiments/search says; nothing says everything.

    Raises:
        Invalid: MLflow's server refuses it or fails on it; the message says where the fault is.
    """
    return _parse_filter(text, EXPERIMENTS)


def parse_model_filter(text: str | None) -> And:
    """Return what a filter string of logged-models/search says; nothing says everything.

    Raises:
        Invalid: MLflow's server refuses it or fails on it; the message says where the fault is.
    """
    return _parse_filter(text, LOGGED_MODELS)


def parse_run_order(clauses: Sequence[str]) -> tuple[OrderTerm, ...]:
    """Return what the order_by clauses of runs/search say.

    Raises:
        Invalid: one is malformed, names what can't be sorted by, or names a column twice.
    """
    return _parse_order(clauses, RUNS)


def parse_experiment_order(clauses: Sequence[str]) -> tuple[OrderTerm, ...]:
    """Return what the order_by clauses of experiments/search say.

    Raises:
        Invalid: one is malformed, or names what can't be sorted by.
    """
    return _parse_order(clauses, EXPERIMENTS)


def parse_registered_model_filter(text: str | None) -> And:
    """Return what a filter string of registered-models/search says; nothing says everything.

    Raises:
        Invalid: MLflow's server refuses it or fails on it; the message says where the fault is.
    """
    return _parse_filter(text, REGISTERED_MODELS)


def parse_model_version_filter(text: str | None) -> And:
    """Return what a filter string of model-versions/search says; nothing says everything.

    Raises:
        Invalid: MLflow's server refuses it or fails on it; the message says where the fault is.
    """
    return _parse_filter(text, MODEL_VERSIONS)


def parse_registered_model_order(clauses: Sequence[str]) -> tuple[OrderTerm, ...]:
    """Return what the order_by clauses of registered-models/search say; there, no column has a dot.

    Raises:
        Invalid: one is malformed, names what can't be sorted by, or names a column twice.
    """
    for clause in clauses:
        if "." in clause:
            raise Invalid(f"order_by clause {clause[:200]!r}: models are sorted by name or timestamp, without a dot")
    return _parse_order(clauses, REGISTERED_MODELS)


def parse_model_version_order(clauses: Sequence[str]) -> tuple[OrderTerm, ...]:
    """Return what the order_by clauses of model-versions/search say.

    Raises:
        Invalid: one is malformed, names what can't be sorted by, or names a column twice.
    """
    return _parse_order(clauses, MODEL_VERSIONS)


def _parse_filter(text: str | None, subject: Subject) -> And:
    if not text:
        return And()
    reader = _Reader(Source("filter string", text), subject)
    comparisons = tuple(reader.comparison(node) for node in read_comparisons(reader.source))
    if len(comparisons) > MAX_COMPARISONS:
        raise Invalid(f"filter string: it has {len(comparisons)} comparisons; at most {MAX_COMPARISONS} are allowed")
    listed = sum(len(part.values) for part in comparisons if isinstance(part, Membership))
    if listed > MAX_LISTED_VALUES:
        raise Invalid(f"filter string: its lists have {listed} values; at most {MAX_LISTED_VALUES} are allowed")
    return And(comparisons)


def _parse_order(clauses: Sequence[str], subject: Subject) -> tuple[OrderTerm, ...]:
    if len(clauses) > MAX_ORDER_TERMS:
        raise Invalid(f"order_by has {len(clauses)} clauses; at most {MAX_ORDER_TERMS} are allowed")
    terms: list[OrderTerm] = []
    for clause in clauses:
        source = Source(f"order_by clause {clause[:200]!r}", clause)
        token, is_ascending = read_order(source)
        column = column_of(source, subject, token, subject.order_attributes)
        if column.entity not in subject.order_entities:
            raise source.error(position_of(token), f"a {column.entity} can't be sorted by")
        if any(term.column == column for term in terms):
            raise source.error(position_of(token), f"{column.entity} {column.key!r} is sorted by twice")
        terms.append(OrderTerm(column, is_ascending))
    return tuple(terms)


@dataclass(frozen=True, slots=True)
class _Reader:
    source: Source
    subject: Subject

    def comparison(self, node: Tree[Token]) -> Comparison:
        name, *rest = node.children
        assert isinstance(name, Token)
        column = column_of(self.source, self.subject, name, self.subject.attributes)
        tokens = [child for child in rest if isinstance(child, Token)]
        match node.data:
            case "compared":
                return self._compared(column, *tokens)
            case "listed":
                if not self.subject.takes_list(column.entity, column.key):
                    raise self._error(
                        name,
                        f"a list can follow {', '.join(self.subject.listed_attributes)} and datasets only, not {name}",
                    )
                texts = [child for child in rest if isinstance(child, Tree)]
                values = tuple(listed_text(self.source, text) for text in texts)
                return Membership(column, values, tokens[0].type == "NOT")
            case _:
                if column.entity not in self.subject.present_entities:
                    allowed = " and ".join(sorted(f"{entity}s" for entity in self.subject.present_entities))
                    raise self._error(
                        name, f"IS NULL and IS NOT NULL can follow {allowed or 'nothing'} only, not {name}"
                    )
                return Presence(column, is_present=bool(tokens))

    def _compared(self, column: Column, comparator_token: Token, value: Token) -> Comparison:
        allowed = self.subject.comparators(column.entity, column.key)
        what = f"{column.entity} {column.key!r}"
        word = comparator_token.upper()
        if word not in allowed:
            raise self._error(comparator_token, f"{what} can be compared by {' '.join(allowed)}, not by {word}")
        comparator = Comparator(word)
        if Comparator.LESS not in allowed:
            if value.type != "STRING":
                raise self._error(value, f"{what} is compared with a quoted string, such as 'a', not with {value}")
            text = value[1:-1]
            if comparator in (Comparator.LIKE, Comparator.ILIKE) and len(text) > MAX_PATTERN_CHARACTERS:
                raise self._error(
                    value, f"a pattern has at most {MAX_PATTERN_CHARACTERS} characters; this has {len(text)}"
                )
            return TextComparison(column, comparator, text)
        if value.type == "STRING" and column.key == "version_number":  # stock reads numbers in quotes there
            value = Token("NUMBER", value[1:-1], start_pos=value.start_pos)
        if value.type != "NUMBER":
            raise self._error(value, f"{what} is compared with a number, without quotes, not with {value}")
        return NumberComparison(column, comparator, self._number(column, value))

    def _number(self, column: Column, token: Token) -> int | float:
        if column.entity is Entity.METRIC:
            return float(token)
        try:
            return int(token)
        except ValueError as error:
            if token.lstrip("-").isdecimal():  # past Python's limit of 4,300 digits
                raise self._error(token, f"{len(token)} digits are too many for {column.key}") from error
        if self.subject.is_whole:
            raise self._error(token, f"{column.key} is a whole number; {token} is not")
        return float(token)

    def _error(self, token: Token, fault: str) -> Invalid:
        return self.source.error(position_of(token), fault)
