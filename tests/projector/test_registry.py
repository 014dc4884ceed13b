"""The registry's fold on both databases: any split gives the same rows, and history outlives deletion."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from mltrail_core.events import (
    AliasDeleted,
    AliasSet,
    Event,
    ModelVersionCreated,
    ModelVersionDeleted,
    ModelVersionDescribed,
    ModelVersionTagDeleted,
    ModelVersionTagSet,
    RegisteredModelCreated,
    RegisteredModelDeleted,
    RegisteredModelDescribed,
    RegisteredModelRenamed,
    RegisteredModelTagDeleted,
    RegisteredModelTagSet,
    StageChanged,
)
from mltrail_core.ids import CONTROL
from mltrail_core.log import EventLog
from mltrail_core.readmodel import tables
from mltrail_core.readmodel.store import ReadModel
from mltrail_projector.batch import project_batch
from mltrail_projector.digest import Digest, digest_read_model
from mltrail_projector.loop import catch_up
from mltrail_projector.positions import read_positions
from mltrail_projector.rebuild import rebuild
from tests.projector.producing import Producing


def some_events(seed: int, count: int) -> Iterator[Event]:
    """Yield events about a few names and versions, many of which the fold rejects."""
    chance = random.Random(seed)
    names, stages, aliases = ["iris", "wine"], ["None", "Staging", "Production", "Canary"], ["a", "b"]
    for at_us in range(count):
        name, version = chance.choice(names), chance.randint(1, 3)
        possible: list[Event] = [
            RegisteredModelCreated(at_us, name, "text", (("k", str(at_us)),)),
            ModelVersionCreated(at_us, name, f"s{at_us}", f"s{at_us}", tags=(("k", "v"),)),
            ModelVersionCreated(at_us, name, f"s{at_us}", f"s{at_us}"),
            StageChanged(at_us, name, version, chance.choice(stages), chance.choice([None, "Archived"])),
            AliasSet(at_us, name, chance.choice(aliases), version),
            AliasDeleted(at_us, name, chance.choice(aliases)),
            RegisteredModelTagSet(at_us, name, "k", str(at_us)),
            RegisteredModelTagDeleted(at_us, name, "k"),
            ModelVersionTagSet(at_us, name, version, "k", str(at_us)),
            ModelVersionTagDeleted(at_us, name, version, "k"),
            RegisteredModelDescribed(at_us, name, f"text {at_us}"),
            ModelVersionDescribed(at_us, name, version, None),
            RegisteredModelRenamed(at_us, name, chance.choice(names)),
            ModelVersionDeleted(at_us, name, version),
            RegisteredModelDeleted(at_us, name),
        ]
        yield chance.choices(possible, weights=[3, 4, 4, 6, 4, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1])[0]


def digest_of(read_model: ReadModel) -> Digest:
    with read_model.reading() as connection:
        return digest_read_model(connection)


@pytest.mark.parametrize("seed", [1, *(pytest.param(more, marks=pytest.mark.thorough) for more in (2, 3))])
def test_any_split_and_a_rebuild_give_the_same_registry(log: EventLog, read_model: ReadModel, seed: int) -> None:
    producing, chance = Producing(), random.Random(seed)
    events = list(some_events(seed, 150))
    while events:
        size = chance.randint(1, 5)
        log.append([producing.record(CONTROL, *events[:size])])
        events = events[size:]
    generation = read_model.live_generation()
    after = read_positions(read_model, generation)[CONTROL]
    while entries := log.read(CONTROL, after=after, max_records=chance.randint(1, 7)):
        project_batch(read_model, generation, {CONTROL: entries})
        after = entries[-1].index
    in_pieces = digest_of(read_model)
    report = rebuild(log, read_model)
    assert report.is_equal
    assert digest_of(read_model) == in_pieces
    with read_model.reading() as connection:
        kinds = set(connection.execute(select(tables.registry_changes.c.kind)).scalars())
    assert kinds >= {"created", "deleted", "description", "tag", "alias", "stage"}


@pytest.mark.parametrize("seed", [0, *(pytest.param(more, marks=pytest.mark.thorough) for more in (1, 2))])
def test_the_value_before_is_the_one_that_the_last_change_left(log: EventLog, read_model: ReadModel, seed: int) -> None:
    log.append([Producing().record(CONTROL, *some_events(seed, 250))])
    catch_up(log, read_model)
    columns = tables.registry_changes.c
    known: dict[tuple[object, ...], str | None] = {}
    with read_model.reading() as connection:
        rows = connection.execute(
            select(tables.registry_changes).order_by(columns["index"], columns.number, columns.part)
        ).all()
    assert len(rows) > 50
    for row in rows:
        version = None if row.kind == "alias" else row.version
        kind = {"created": "state", "deleted": "state", "renamed": "state", "stage": "state"}.get(row.kind, row.kind)
        subject = (row.registry_id, version, kind, row.key)
        assert row.before == known.get(subject), row
        known[subject] = row.after


def test_a_deleted_model_leaves_its_history_and_nothing_else(log: EventLog, read_model: ReadModel) -> None:
    events: list[Event] = [
        RegisteredModelCreated(1, "iris", "text", (("k", "v"),)),
        ModelVersionCreated(2, "iris", "s", "s", tags=(("k", "v"),)),
        AliasSet(3, "iris", "champion", 1),
        StageChanged(4, "iris", 1, "Production"),
        RegisteredModelDeleted(5, "iris"),
    ]
    log.append([Producing().record(CONTROL, *events)])
    catch_up(log, read_model)
    with read_model.reading() as connection:
        for table in (
            tables.registered_models,
            tables.registered_model_tags,
            tables.registered_model_aliases,
            tables.model_versions,
            tables.model_version_tags,
            tables.rejections,
        ):
            assert connection.execute(select(table)).all() == [], table.name
        assert len(connection.execute(select(tables.registry_changes)).all()) == 8
