"""Comparisons as SQL that gives the same answer on SQLite and PostgreSQL."""

from __future__ import annotations

import math

from sqlalchemy import ColumnElement, and_, false, null, or_

from mltrail_api.search.expression import Comparator, NumberComparison, TextComparison

_MIN_INT64, _MAX_INT64 = -(2**63), 2**63 - 1


def text_condition(column: ColumnElement[str], comparison: TextComparison, dialect: str) -> ColumnElement[bool]:
    """Return whether the text of `column` compares so.

    LIKE tells upper from lower case and ILIKE folds ASCII letters; neither has an escape character. PostgreSQL's
    columns have collation "C", so its ILIKE folds ASCII letters only, as SQLite's LIKE does.
    """
    value = comparison.value
    match comparison.comparator, dialect:
        case Comparator.EQUAL, _:
            return column == value
        case Comparator.NOT_EQUAL, _:
            return column != value
        case Comparator.LIKE, "sqlite":
            return column.op("GLOB", is_comparison=True)(_glob_of(value))
        case Comparator.ILIKE, "sqlite":
            return column.like(value)
        case Comparator.LIKE, _:
            return column.like(_without_escapes(value))
        case Comparator.ILIKE, _:
            return column.ilike(_without_escapes(value))
        case _:
            raise AssertionError(f"the parser let {comparison.comparator} through for text")


def number_condition(column: ColumnElement[float], comparison: NumberComparison) -> ColumnElement[bool]:
    """Return whether a metric's value compares so; NULL is NaN, which differs from every number."""
    value = float(comparison.value)
    match comparison.comparator:
        case Comparator.EQUAL:
            return column == value
        case Comparator.NOT_EQUAL:
            return or_(column != value, column.is_(null()))
        case Comparator.LESS:
            return column < value
        case Comparator.LESS_OR_EQUAL:
            return column <= value
        case Comparator.GREATER:
            return column > value
        case Comparator.GREATER_OR_EQUAL:
            return column >= value
        case _:
            raise AssertionError(f"the parser let {comparison.comparator} through for numbers")


def time_condition(column_us: ColumnElement[int], comparison: NumberComparison) -> ColumnElement[bool]:
    """Return whether a time in µs, cut to whole ms, compares so with a number of ms; NULL answers to nothing.

    The column stands alone on one side, so that an index on it serves.
    """
    value = comparison.value
    match comparison.comparator:
        case Comparator.LESS:
            return _before(column_us, _ceil(value))
        case Comparator.LESS_OR_EQUAL:
            return _before(column_us, _floor(value) + 1)
        case Comparator.GREATER:
            return _not_before(column_us, _floor(value) + 1)
        case Comparator.GREATER_OR_EQUAL:
            return _not_before(column_us, _ceil(value))
        case Comparator.EQUAL:
            if _ceil(value) != _floor(value):
                return false()
            return and_(_not_before(column_us, _floor(value)), _before(column_us, _floor(value) + 1))
        case Comparator.NOT_EQUAL:
            if _ceil(value) != _floor(value):
                return column_us.is_not(null())
            return or_(_before(column_us, _floor(value)), _not_before(column_us, _floor(value) + 1))
        case _:
            raise AssertionError(f"the parser let {comparison.comparator} through for times")


def _before(column_us: ColumnElement[int], time_ms: int) -> ColumnElement[bool]:
    return column_us < _int64(time_ms * 1000) if time_ms * 1000 <= _MAX_INT64 else column_us.is_not(null())


def _not_before(column_us: ColumnElement[int], time_ms: int) -> ColumnElement[bool]:
    return column_us >= _int64(time_ms * 1000) if time_ms * 1000 <= _MAX_INT64 else false()


def _int64(number: int) -> int:
    return max(_MIN_INT64, number)


def _floor(number: int | float) -> int:
    return math.floor(_finite(number))


def _ceil(number: int | float) -> int:
    return math.ceil(_finite(number))


def _finite(number: int | float) -> int | float:
    # 1e400 is read as infinity; any time lies below it, as below 1e300.
    return number if isinstance(number, int) or math.isfinite(number) else math.copysign(1e300, number)


def _glob_of(pattern: str) -> str:
    special = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
    return "".join(special.get(character, character) for character in pattern)


def _without_escapes(pattern: str) -> str:
    # PostgreSQL's escape character is the backslash unless told otherwise.
    return pattern.replace("\\", "\\\\")
