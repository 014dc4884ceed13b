"""The registry's memory: each value that an event changes is kept with the one before, by whom and when."""

from __future__ import annotations

from collections.abc import Iterable

from mltrail_core.readmodel import tables
from mltrail_projector.fold import Fold, Place
from mltrail_projector.rows import Row, Value

Change = tuple[int | None, str, str | None, Value, Value]
"""Version or None, kind, key, value before, value after."""


def keep(fold: Fold, place: Place, model: Row, changes: Iterable[Change]) -> None:
    """Add the changes that one event made to a registered model, called as it was before the event."""
    for part, (version, kind, key, before, after) in enumerate(changes):
        fold.rows.put(
            tables.registry_changes,
            {
                "index": place.index,
                "number": place.number,
                "part": part,
                "registry_id": model["registry_id"],
                "name": model["name"],
                "version": version,
                "kind": kind,
                "key": key,
                "before": _text(before),
                "after": _text(after),
                "actor": place.actor,
                "actor_known": place.actor_known,
                "appended_us": place.appended_us,
            },
        )


def give_name(fold: Fold, place: Place, name: Value, registry_id: Value) -> None:
    """Keep that this model has the name from here on; None: nobody."""
    fold.rows.put(
        tables.registered_model_names,
        {
            "name": name,
            "index": place.index,
            "number": place.number,
            "registry_id": registry_id,
            "appended_us": place.appended_us,
        },
    )


def value_in(row: Row | None, column: str) -> Value:
    """Return the value in a row that may not be there; None when it is not."""
    return None if row is None else row[column]


def _text(value: Value) -> str | None:
    return None if value is None else str(value)
