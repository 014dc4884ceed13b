"""What a native search can ask about: MLflow's columns of runs, and more."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum

from lark import Token

from mltrail_api.search.expression import Column, Entity, Summary
from mltrail_api.search.grammar import Source
from mltrail_api.search.names import column_of
from mltrail_api.search.subject import RUNS

_OURS = {
    "name": "run_name",
    "user": "user_id",
    "actor": "actor",
    "duration": "duration",
    "experiment": "experiment",
    "experiment_name": "experiment",
    "experiment_id": "experiment_id",
}
NATIVE = replace(
    RUNS,
    entities=RUNS.entities | dict.fromkeys(("model", "models"), Entity.MODEL),
    attributes=RUNS.attributes | _OURS,
    order_attributes=RUNS.order_attributes | _OURS,
    present_entities=frozenset(Entity),
)

_SUMMARY = re.compile(rf"((?:metrics?|`metrics?`)\..+)\.({'|'.join(Summary)})", re.DOTALL)


class Kind(Enum):
    """What a column holds."""

    NUMBER = "number"
    TIME = "time"
    DURATION = "duration"
    TEXT = "text"


def kind_of(column: Column) -> Kind:
    """Return what a column holds."""
    if column.entity is Entity.METRIC:
        return Kind.NUMBER
    if column.entity is Entity.ATTRIBUTE and column.key in NATIVE.times:
        return Kind.TIME
    if column == Column(Entity.ATTRIBUTE, "duration"):
        return Kind.DURATION
    return Kind.TEXT


def native_column(source: Source, token: Token, attributes: Mapping[str, str] = NATIVE.attributes) -> Column:
    """Return the column that a token names: MLflow's names, and `metrics.loss.min` for a number of the whole series.

    A key that ends in such a word itself is quoted: `` metrics.`loss.min` ``.

    Raises:
        Invalid: there is no such column; the message says where it is named.
    """
    found = _SUMMARY.fullmatch(token)
    if found is None:
        return column_of(source, NATIVE, token, attributes)
    whole = column_of(source, NATIVE, Token(token.type, found[1], start_pos=token.start_pos), attributes)
    return replace(whole, summary=Summary(found[2]))
