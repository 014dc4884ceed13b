"""Asking a read model which runs a native filter holds for."""

from __future__ import annotations

from sqlalchemy import and_, not_, select, true

from mltrail_api.search.native.condition import native_conditions
from mltrail_api.search.native.parse import parse_filter
from mltrail_api.search.placement import PLACED_RUNS
from mltrail_core.readmodel.store import ReadModel
from mltrail_core.readmodel.tables import runs


def held(read_model: ReadModel, text: str) -> str:
    """Return the ids of the runs that a filter holds for, in order, separated by blanks.

    Whatever index the search would find them through finds them all.
    """
    with read_model.reading() as connection:
        conditions = native_conditions(connection, parse_filter(text))
        holds = and_(true(), *(condition.holds for condition in conditions))
        query = select(runs.c.run_id).select_from(PLACED_RUNS).order_by(runs.c.run_id)
        found = list(connection.execute(query.where(holds)).scalars())
        others = list(connection.execute(query.where(not_(holds))).scalars())
        assert sorted(found + others) == list(connection.execute(query).scalars()), f"{text} is unknown of a run"
        for candidates in (condition.candidates for condition in conditions):
            assert candidates is None or set(found) <= set(connection.execute(candidates).scalars()), text
    return " ".join(found)
