"""Experiments as callers name them: by name, by id, or by an id that a trainer proposed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from mltrail_core.errors import Invalid
from mltrail_core.readmodel.tables import experiment_aliases, experiments

MAX_EXPERIMENTS = 10_000
"""Named at once: SQLite binds at most 32,766 values."""


@dataclass(frozen=True, slots=True)
class UnknownExperiment:
    """A caller names an experiment that is not there."""

    name: str


def experiment_ids_of(connection: Connection, names: Sequence[str]) -> list[str] | UnknownExperiment:
    """Return the ids of experiments that are named by name or by any of their ids; a name counts before an id.

    Raises:
        Invalid: there are too many, or one holds a character that no name has.
    """
    if len(names) > MAX_EXPERIMENTS:
        raise Invalid(f"{len(names)} experiments are named; at most {MAX_EXPERIMENTS} are allowed")
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        if "\0" in name:
            raise Invalid(f"experiment {name[:100]!r} holds a character that no name has")
    by_name = select(experiments.c.name, experiments.c.experiment_id).where(experiments.c.name.in_(wanted))
    found: dict[str, str] = {name: experiment_id for name, experiment_id in connection.execute(by_name)}
    others = [name for name in wanted if name not in found]
    if others:
        own = select(experiments.c.experiment_id).where(experiments.c.experiment_id.in_(others))
        found |= {experiment_id: experiment_id for experiment_id in connection.execute(own).scalars()}
        aliases = experiment_aliases.c
        by_alias = select(aliases.proposed_id, aliases.experiment_id).where(aliases.proposed_id.in_(others))
        found |= {proposed_id: experiment_id for proposed_id, experiment_id in connection.execute(by_alias)}
    unknown = next((name for name in wanted if name not in found), None)
    return UnknownExperiment(unknown) if unknown is not None else sorted({found[name] for name in wanted})
