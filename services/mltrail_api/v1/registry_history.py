"""The kept changes of the models that ever had a name, the newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select, tuple_

from mltrail_core.errors import Invalid
from mltrail_core.readmodel.tables import registered_model_names, registry_changes

KINDS = ("created", "renamed", "deleted", "description", "tag", "alias", "stage")
_MAX_INT64 = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Change:
    """One value that changed. `version` is None for what belongs to the model; `key` is a tag's key, or the alias."""

    index: int
    number: int
    part: int
    registry_id: str
    name: str
    version: int | None
    kind: str
    key: str | None
    before: str | None
    after: str | None
    actor: str
    actor_known: str
    appended_us: int

    @property
    def token(self) -> str:
        """The page token of what is older."""
        return f"{self.index}.{self.number}.{self.part}"


def load_changes(
    connection: Connection,
    name: str,
    *,
    until_us: int = _MAX_INT64,
    version: int | None = None,
    kinds: Sequence[str] = (),
    limit: int = 100,
    page_token: str = "",
) -> list[Change] | None:
    """Return changes, the newest first; None when no model ever had the name.

    A name that was given again answers for each of its models; `registry_id` and the name at the time tell them apart.

    Raises:
        Invalid: the page token was not made by this function's changes.
    """
    names = registered_model_names.c
    owners = (
        connection.execute(
            select(names.registry_id).distinct().where(names.name == name, names.registry_id.is_not(None))
        )
        .scalars()
        .all()
    )
    if not owners:
        return None
    columns = registry_changes.c
    place = tuple_(columns["index"], columns.number, columns.part)
    query = select(registry_changes).where(columns.registry_id.in_(owners), columns.appended_us <= until_us)
    if version is not None:
        query = query.where(columns.version == version)
    if kinds:
        query = query.where(columns.kind.in_(kinds))
    if page_token:
        query = query.where(place < _place_of(page_token))
    newest_first = query.order_by(columns["index"].desc(), columns.number.desc(), columns.part.desc()).limit(limit)
    return [Change(**row) for row in connection.execute(newest_first).mappings()]


def _place_of(page_token: str) -> tuple[int, ...]:
    parts = page_token.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdecimal() and len(part) < 19 for part in parts):
        raise Invalid(f"page token {page_token[:100]!r} was not given out by a history; begin again without a token")
    return tuple(int(part) for part in parts)
