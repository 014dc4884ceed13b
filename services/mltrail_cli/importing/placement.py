"""Where the experiments and registered models of a source go: under their own id and name, unless those are taken."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, select

from mltrail_cli.importing.source import SourceExperiment, SourceRegistered
from mltrail_core.ids import CONTROL, DEFAULT_EXPERIMENT_ID, ProducerId
from mltrail_core.readmodel.tables import (
    experiment_aliases,
    experiment_names,
    experiments,
    producers,
    registered_models,
)


class NameTaken(Exception):
    """A name or id belongs to something else here; the message says to what, and what to do."""


@dataclass(frozen=True, slots=True)
class PlacedExperiment:
    """The experiment of the target for one of the source. `is_new`: it is not there yet."""

    experiment_id: str
    name: str
    is_new: bool


def place_experiment(
    connection: Connection,
    experiment: SourceExperiment,
    producer_of: Callable[[str], ProducerId],
    identity: str,
    rename_suffix: str | None,
) -> PlacedExperiment:
    """Return where an experiment goes.

    Under its own id; under one that derives from source and id where another experiment has that id, as two databases
    that both count from 1 do. What an earlier import of this source made is found again, whatever it is called now.

    Raises:
        NameTaken: name or id belong to another experiment, and no suffix was given.
    """
    own_id, name = experiment.experiment_id, experiment.name
    if own_id == DEFAULT_EXPERIMENT_ID:
        return PlacedExperiment(own_id, _name_of(connection, own_id) or name, is_new=False)
    derived_id = _derived_id(identity, own_id)
    known_name = _name_of(connection, derived_id)
    if known_name is not None:
        return _existing(connection, derived_id, known_name, name, rename_suffix)
    known_name = _name_of(connection, own_id)
    if known_name is not None and (
        known_name == name or _is_known(connection, producer_of(experiment_subject(own_id)))
    ):
        return _existing(connection, own_id, known_name, name, rename_suffix)
    is_alias = select(experiment_aliases).where(experiment_aliases.c.proposed_id == own_id)
    if known_name is not None or connection.execute(is_alias).first() is not None:
        if rename_suffix is None:
            raise NameTaken(
                f"experiment {own_id} {name!r}: the id belongs to {known_name!r} here; with --rename-suffix TEXT it is "
                f"imported under the id {derived_id}"
            )
        own_id = derived_id
    for candidate in [name] if rename_suffix is None else [name, name + rename_suffix]:
        owner = _owner_of(connection, candidate)
        if owner is None:
            return PlacedExperiment(own_id, candidate, is_new=True)
    raise NameTaken(
        f"experiment {experiment.experiment_id} {name!r}: the name belongs to experiment {_owner_of(connection, name)} "
        "here; rename one of the two, or give --rename-suffix TEXT"
    )


def place_registered(
    connection: Connection,
    model: SourceRegistered,
    producer_of: Callable[[str], ProducerId],
    rename_suffix: str | None,
) -> str:
    """Return the name that a registered model has here.

    Raises:
        NameTaken: another model, not imported from this source, has the name, and no suffix was given.
    """
    is_ours = _is_known(connection, producer_of(registered_subject(model.name)))
    names = [model.name] if rename_suffix is None else [model.name, model.name + rename_suffix]
    created_us = {name: _created_us(connection, name) for name in names}
    for name in reversed(names):  # what an earlier import renamed is found first
        if created_us[name] is not None and (created_us[name] == model.created_us or (is_ours and name == names[0])):
            return name
    for name in names:
        if created_us[name] is None:
            return name
    raise NameTaken(
        f"registered model {model.name!r}: another model has that name here; rename one of the two, or give "
        "--rename-suffix TEXT"
    )


def experiment_subject(experiment_id: str) -> str:
    """Return what an experiment's producer is derived from."""
    return f"experiment/{experiment_id}"


def registered_subject(name: str) -> str:
    """Return what a registered model's producer is derived from."""
    return f"registered model/{name}"


def _existing(
    connection: Connection, experiment_id: str, known_name: str, name: str, rename_suffix: str | None
) -> PlacedExperiment:
    """Return the experiment with the name it should have, where that is free."""
    for candidate in (name, name + rename_suffix if rename_suffix else known_name):
        if _owner_of(connection, candidate) in (None, experiment_id):
            return PlacedExperiment(experiment_id, candidate, is_new=False)
    return PlacedExperiment(experiment_id, known_name, is_new=False)


def _derived_id(identity: str, experiment_id: str) -> str:
    """Return an id of 18 digits, as fresh experiments have."""
    digest = hashlib.sha256(f"mltrail import\0{identity}\0experiment {experiment_id}".encode()).digest()
    return str(10**17 + int.from_bytes(digest) % (9 * 10**17))


def _name_of(connection: Connection, experiment_id: str) -> str | None:
    query = select(experiments.c.name).where(experiments.c.experiment_id == experiment_id)
    return connection.execute(query).scalar()


def _owner_of(connection: Connection, name: str) -> str | None:
    return connection.execute(select(experiment_names.c.experiment_id).where(experiment_names.c.name == name)).scalar()


def _created_us(connection: Connection, name: str) -> int | None:
    return connection.execute(select(registered_models.c.created_us).where(registered_models.c.name == name)).scalar()


def _is_known(connection: Connection, producer: ProducerId) -> bool:
    query = select(producers.c.producer).where(producers.c.producer == producer, producers.c.partition == CONTROL)
    return connection.execute(query).first() is not None
