"""The catalogue of keys: what the runs of experiments can be filtered, sorted and charted by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, select, union_all

from mltrail_core.errors import Invalid
from mltrail_core.readmodel.tables import experiment_aliases, experiment_keys, experiments

MAX_KEYS = 10_000
_MANY = 200
"""Ids of experiments: more are not asked one after the other."""
_LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Keys in the order of their characters; `next_page_token` is None when these are the last."""

    keys: tuple[str, ...]
    next_page_token: str | None


def experiment_key_page(
    connection: Connection,
    experiment_ids: Sequence[str] | None,
    kind: str,
    prefix: str = "",
    max_results: int = 1_000,
    page_token: str = "",
) -> KeyPage:
    """Return the keys that runs of some experiments have, or had: a key stays when the last run with it is deleted.

    Args:
        connection: on the read model.
        experiment_ids: the experiments' own ids; None means all there are.
        kind: `metric`, `param` or `tag`.
        prefix: only keys that begin so.
        max_results: at most so many.
        page_token: of the page before, from the same question.

    Raises:
        Invalid: a text holds a character that no key has.
    """
    for name, text in (("prefix", prefix), ("page_token", page_token)):
        if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text):
            raise Invalid(f"{name} {text[:100]!r} holds a character that no key has")
    columns = experiment_keys.c
    wanted = [columns.kind == kind]
    if prefix:
        wanted += [columns.key >= prefix, columns.key < prefix + _LAST_CHARACTER]
    if page_token:
        wanted.append(columns.key > page_token)
    named = _named_ids(connection, experiment_ids)
    found = _first_keys(connection, named, wanted, max_results + 1)
    is_more = len(found) > max_results
    return KeyPage(tuple(found[:max_results]), found[max_results - 1] if is_more else None)


def _named_ids(connection: Connection, experiment_ids: Sequence[str] | None) -> list[str] | None:
    """Return the ids by which runs may name the experiments; None means that it does not matter."""
    own, aliases = select(experiments.c.experiment_id), select(experiment_aliases.c.proposed_id)
    if experiment_ids is not None:
        own = own.where(experiments.c.experiment_id.in_(experiment_ids))
        aliases = aliases.where(experiment_aliases.c.experiment_id.in_(experiment_ids))
    named = connection.execute(union_all(own, aliases).limit(_MANY + 1)).scalars().all()
    if experiment_ids is None and len(named) > _MANY:
        return None
    return list(named) if len(named) <= _MANY else list(connection.execute(union_all(own, aliases)).scalars())


def _first_keys(
    connection: Connection, named: list[str] | None, wanted: Sequence[ColumnElement[bool]], limit: int
) -> list[str]:
    """Return the first keys. The rows of one experiment lie in the order of keys, so that a page of each is read off
    the index; of all at once, every row has to be looked at."""
    keys = select(experiment_keys.c.key).where(*wanted).distinct().order_by(experiment_keys.c.key).limit(limit)
    if named is None:
        return list(connection.execute(keys).scalars())
    if len(named) > _MANY:
        return list(connection.execute(keys.where(experiment_keys.c.experiment_id.in_(named))).scalars())
    found: set[str] = set()
    for experiment_id in named:
        found.update(connection.execute(keys.where(experiment_keys.c.experiment_id == experiment_id)).scalars())
    return sorted(found)[:limit]
