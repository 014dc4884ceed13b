"""Which columns of the runs a search is to return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mltrail_api.search.columns import Columns
from mltrail_api.search.expression import Entity, Summary
from mltrail_api.search.grammar import Source, position_of, read_order
from mltrail_api.search.native.subject import NATIVE, native_column
from mltrail_core.errors import Invalid

MAX_COLUMNS = 2_000
DEFAULT_SUMMARIES = (Summary.LAST, Summary.LAST_STEP)
_ATTRIBUTES = tuple(dict.fromkeys(NATIVE.attributes.values()))
_WHOLE = {name: entity for name, entity in NATIVE.entities.items() if name.endswith("s")}
"""`metrics` or `metrics.*` stand for all metrics, and so on."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What is wanted of each run; its id always is.

    `params`, `tags`: keys, None for all. `metrics`: keys and the numbers wanted of each; None for the default ones of
    all. `attributes`: names, by which filters call them.
    """

    attributes: frozenset[str]
    params: frozenset[str] | None
    tags: frozenset[str] | None
    metrics: dict[str, tuple[Summary, ...]] | None
    datasets: bool
    models: bool

    @property
    def columns(self) -> Columns:
        """What of it `load_runs` is asked for."""
        return Columns(
            params=self.params,
            tags=self.tags,
            metrics=None if self.metrics is None else frozenset(self.metrics),
            inputs=self.datasets or self.models,
        )


EVERYTHING = Selection(frozenset(_ATTRIBUTES), None, None, None, datasets=True, models=True)


def parse_columns(names: Sequence[str]) -> Selection:
    """Return what is wanted: `params.lr`, `metrics.loss.min`, `status`; `tags` or `tags.*` for all of a kind.

    Raises:
        Invalid: there is no such column; the message shows which.
    """
    if len(names) > MAX_COLUMNS:
        raise Invalid(f"{len(names)} columns are asked for; at most {MAX_COLUMNS} are allowed")
    whole: set[Entity] = set()
    keys: dict[Entity, dict[str, list[Summary]]] = {entity: {} for entity in Entity}
    for name in names:
        entity = _WHOLE.get(name.removesuffix(".*").strip())
        if entity is not None:
            whole.add(entity)
            continue
        source = Source("columns", name, is_shown=True)
        token, _ = read_order(source)
        column = native_column(source, token)
        if len(token) < len(name.strip()):
            raise source.error(position_of(token) + len(token), "a column is a name and nothing else")
        if column.entity in (Entity.DATASET, Entity.MODEL):
            raise source.error(position_of(token), f"only whole {column.entity}s can be returned: {column.entity}s")
        is_plain = column.entity is Entity.METRIC and not token.endswith(f".{column.summary}")
        summaries = DEFAULT_SUMMARIES if is_plain else (column.summary,)
        keys[column.entity].setdefault(column.key, []).extend(summaries)
    return Selection(
        attributes=frozenset(_ATTRIBUTES if Entity.ATTRIBUTE in whole else keys[Entity.ATTRIBUTE]),
        params=None if Entity.PARAM in whole else frozenset(keys[Entity.PARAM]),
        tags=None if Entity.TAG in whole else frozenset(keys[Entity.TAG]),
        metrics=_metrics(keys[Entity.METRIC], Entity.METRIC in whole),
        datasets=Entity.DATASET in whole,
        models=Entity.MODEL in whole,
    )


def _metrics(asked: dict[str, list[Summary]], is_whole: bool) -> dict[str, tuple[Summary, ...]] | None:
    if is_whole:
        return None
    return {key: tuple(dict.fromkeys(summaries)) for key, summaries in asked.items()}
