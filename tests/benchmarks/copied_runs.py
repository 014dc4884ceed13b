"""Very many runs in a read model in minutes: the first come through log and projector, the rest are copied from one.

A copy is made in SQL and has the rows that the projector would have written for a run of that number, which is checked
with those that it did write; but for its points, which no search reads.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    Index,
    Integer,
    Select,
    Table,
    Text,
    case,
    cast,
    create_engine,
    func,
    literal,
    select,
    text,
)

from mltrail_core.readmodel.store import ReadModel, open_read_model
from mltrail_core.readmodel.tables import METADATA, metric_summaries, params, runs, tags
from tests.benchmarks.peers import Peer
from tests.benchmarks.population import run_id_of
from tests.benchmarks.results import check

_COPIED: tuple[Table, ...] = (runs, params, tags, metric_summaries)
_RUNS_AT_ONCE = 1_000
"""In a transaction: SQLite's readers and its other writer wait for a second or two."""


def copy_runs(peer: Peer, store_url: str, experiment_id: str, projected: int, count: int) -> None:
    """Copy run 0 of an experiment, as `population.create_runs` makes it, until the experiment has `count` runs.

    Args:
        peer: whose read model is at `store_url`; nothing else may write to it or search it meanwhile.
        projected: so many of them, from run 0 on, the projector wrote: a copy of each must be what it wrote.

    Raises:
        WrongAnswer: a copy would be another run than the projector wrote.
    """
    with contextlib.closing(open_read_model(store_url)) as read_model:
        generation = read_model.live_generation()
        with read_model.reading() as connection:
            for table in _COPIED:
                compared = [column.name for column in table.columns if column.name != "created_us"]
                copies = _copies(table, experiment_id, range(projected), read_model.dialect)
                one, other = (
                    select(*(rows.c[name] for name in compared))
                    for rows in (copies.subquery(), _written(table, experiment_id).subquery())
                )
                differing = [*connection.execute(one.except_(other)), *connection.execute(other.except_(one))]
                check(not differing, peer.name, f"a copy is not what was projected: {differing[:2]}")
        with _without_indexes(read_model, generation):
            for first in range(projected, count, _RUNS_AT_ONCE):
                numbers = range(first, min(first + _RUNS_AT_ONCE, count))
                with read_model.writing(generation) as connection:
                    for table in _COPIED:
                        copies = _copies(table, experiment_id, numbers, read_model.dialect)
                        connection.execute(table.insert().from_select(list(table.c), copies))
        if read_model.dialect == "postgresql":
            _vacuum(store_url, generation)


@contextlib.contextmanager
def _without_indexes(read_model: ReadModel, generation: int) -> Iterator[None]:
    """Take away the indexes that are no primary keys, and make them anew at the end: sorting is quicker."""
    taken = [index for table in _COPIED for index in sorted(table.indexes, key=lambda index: str(index.name))]
    taken = [index for index in taken if _is_of(read_model, index)]
    with read_model.writing(generation) as connection:
        for index in taken:
            index.drop(connection)
    yield
    for index in taken:
        with read_model.writing(generation) as connection:
            _allow_sorting(connection)
            index.create(connection)


def _is_of(read_model: ReadModel, index: Index) -> bool:
    """Return whether the database has the index; those of one database end in its name."""
    name = str(index.name)
    return not name.endswith(("_sqlite", "_postgresql")) or name.endswith("_" + read_model.dialect)


def _allow_sorting(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.execute(text("PRAGMA temp_store=FILE"))  # a gigabyte of entries is no memory's business
    else:
        connection.execute(text("SET LOCAL maintenance_work_mem = '512MB'"))


def _vacuum(store_url: str, generation: int) -> None:
    """Do what PostgreSQL's autovacuum does sooner or later: count what is there, and mark pages that all can see."""
    engine = create_engine(store_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for table in METADATA.sorted_tables:
            connection.execute(text(f"VACUUM (ANALYZE) mltrail_g{generation}.{table.name}"))
    engine.dispose()


def _written(table: Table, experiment_id: str) -> Select[Any]:
    of_experiment = select(runs.c.run_id).where(runs.c.experiment_id == experiment_id)
    return select(*table.c).where(table.c.run_id.in_(of_experiment))


def _copies(table: Table, experiment_id: str, numbers: range, dialect: str) -> Select[Any]:
    """Return the rows in `table` of the runs of these numbers, made from those of run 0."""
    first = select(cast(literal(numbers.start), BigInteger).label("number")).cte("numbered", recursive=True)
    more = select(first.c.number + 1).where(first.c.number < numbers.stop - 1)
    numbered = first.union_all(more)
    number = numbered.c.number
    template = table.alias("template")
    values = [
        _value_of_copy(table, template.c[column.name], number, experiment_id, dialect).label(column.name)
        for column in table.columns
    ]
    return select(*values).select_from(numbered.join(template, template.c.run_id == run_id_of(experiment_id, 0)))


def _value_of_copy(
    table: Table, column: ColumnElement[Any], number: ColumnElement[int], experiment_id: str, dialect: str
) -> ColumnElement[Any]:
    """Return what stands in a column of run `number` where this stands in that of run 0 (see `population`)."""
    name = str(column.key)
    if name == "run_id":
        digits = func.printf("%016x", number) if dialect == "sqlite" else func.lpad(func.to_hex(number), 16, "0")
        return literal(run_id_of(experiment_id, 0)[:16], Text).concat(digits)
    if name.endswith("_us") and name != "created_us":  # which is when the log had it
        return column + number * 1_000_000
    if name == "name":
        return literal("run ", Text).concat(cast(number, Text))
    if name == "user":
        return literal("user ", Text).concat(cast(number % 10, Text))
    if table is params and name == "value":
        key_number = _number_of_key(column, "param_")
        return literal("value ", Text).concat(cast(number % (key_number + 2), Text))
    if table is tags and name == "value":
        key_number = _number_of_key(column, "tag_")
        numbered = literal("text ", Text).concat(cast(number % (key_number * 10 + 2), Text))
        return case((_key(column).startswith("tag_"), numbered), else_=literal("run ", Text).concat(cast(number, Text)))
    if table is metric_summaries and name.endswith("_value"):
        key_number = _number_of_key(column, "metric_")
        return cast((number * 7919 + key_number * 104_729) % 1_000_003, Double) / literal(1_000_003.0, Double)
    return column


def _key(column: ColumnElement[Any]) -> ColumnElement[str]:
    key: ColumnElement[str] = column.table.c.key
    return key


def _number_of_key(column: ColumnElement[Any], prefix: str) -> ColumnElement[int]:
    """Return the number at the end of a key, 0 where the key begins otherwise."""
    key = _key(column)
    number = cast(func.substr(key, len(prefix) + 1), Integer)
    return case((key.startswith(prefix), number), else_=0)
