"""The catalogue of keys: what the runs of experiments can be filtered, sorted and charted by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Select, or_, select

from mltrail_core.errors import Invalid
from mltrail_core.readmodel.tables import experiment_aliases, experiment_keys

MAX_KEYS = 10_000
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
    query: Select[str] = select(columns.key).where(columns.kind == kind)
    if experiment_ids is not None:
        query = query.where(_is_of(experiment_ids))
    if prefix:
        query = query.where(columns.key >= prefix, columns.key < prefix + _LAST_CHARACTER)
    if page_token:
        query = query.where(columns.key > page_token)
    found = connection.execute(query.distinct().order_by(columns.key).limit(max_results + 1)).scalars().all()
    is_more = len(found) > max_results
    return KeyPage(tuple(found[:max_results]), found[max_results - 1] if is_more else None)


def _is_of(experiment_ids: Sequence[str]) -> ColumnElement[bool]:
    named = experiment_keys.c.experiment_id  # as the runs say it
    aliases = select(experiment_aliases.c.proposed_id).where(experiment_aliases.c.experiment_id.in_(experiment_ids))
    return or_(named.in_(experiment_ids), named.in_(aliases))
