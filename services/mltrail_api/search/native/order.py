"""From native order_by clauses to what runs are sorted by."""

from __future__ import annotations

from collections.abc import Sequence

from mltrail_api.search.expression import OrderTerm
from mltrail_api.search.grammar import Source, position_of, read_order
from mltrail_api.search.native.subject import NATIVE, native_column
from mltrail_api.search.parse import MAX_ORDER_TERMS
from mltrail_core.errors import Invalid


def parse_order(clauses: Sequence[str]) -> tuple[OrderTerm, ...]:
    """Return what order_by clauses say: `metrics.loss.min`, `duration DESC`, and all that MLflow takes.

    Raises:
        Invalid: one is malformed, names what can't be sorted by, or names a column twice; the message shows where.
    """
    if len(clauses) > MAX_ORDER_TERMS:
        raise Invalid(f"order_by has {len(clauses)} clauses; at most {MAX_ORDER_TERMS} are allowed")
    terms: list[OrderTerm] = []
    for clause in clauses:
        source = Source("order_by", clause, is_shown=True)
        token, is_ascending = read_order(source)
        column = native_column(source, token, NATIVE.order_attributes)
        if column.entity not in NATIVE.order_entities:
            raise source.error(position_of(token), f"a {column.entity} can't be sorted by")
        if any(term.column == column for term in terms):
            raise source.error(position_of(token), f"{column.entity} {column.key!r} is sorted by twice")
        terms.append(OrderTerm(column, is_ascending))
    return tuple(terms)
