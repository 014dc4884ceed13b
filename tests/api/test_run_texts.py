"""Runs as JSON kept in memory are what the read model says, whatever changed in between."""

from __future__ import annotations

import contextlib
import functools
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from mltrail_api.mlflow.runs.texts import RunTexts
from mltrail_api.mlflow.runs.view import run_json
from mltrail_api.mlflow.wire import json_bytes
from mltrail_api.search.expression import ViewType
from mltrail_api.search.runs import RunPage, search_runs
from mltrail_api.search.view import load_runs
from mltrail_core.events import (
    DatasetInputLogged,
    Event,
    ExperimentCreated,
    ExperimentDeleted,
    ExperimentEnsured,
    ExperimentRestored,
    ModelInputLogged,
    ModelOutputLogged,
    ParamLogged,
    RunCreated,
    RunDeleted,
    RunRenamed,
    RunRestored,
    RunStatusChanged,
    TagDeleted,
    TagSet,
)
from mltrail_core.ids import CONTROL
from mltrail_core.log import EventLog, open_log
from mltrail_core.readmodel.store import ReadModel, open_read_model
from mltrail_projector.loop import catch_up
from mltrail_projector.rebuild import rebuild
from tests.api.statements import statements_of
from tests.projector.producing import OTHER_RUN, RUN, Producing, metrics

BOTH = (RUN, OTHER_RUN)


def a_change(chance: random.Random, number: int) -> Event:
    """Return an event that changes what is told about a run, or would if it were not rejected."""
    run_id, key = chance.choice(BOTH), chance.choice("abc")
    changes: list[Event] = [
        RunRenamed(1, run_id, f"name {number}"),
        RunStatusChanged(1, run_id, "FINISHED", number),
        RunDeleted(1, run_id),
        RunRestored(1, run_id),
        TagSet(1, run_id, key, f"text {number}"),
        TagDeleted(1, run_id, key),
        ParamLogged(1, run_id, f"{key}{number % 4}", "value"),
        metrics(run_id, key, float(number), first_step=number),
        DatasetInputLogged(1, run_id, f"data {number}", "d", "local", "{}", None, None, ()),
        ModelInputLogged(1, run_id, f"m-{number}"),
        ModelOutputLogged(1, run_id, f"m-{number}", number),
        ExperimentDeleted(1, "7"),
        ExperimentRestored(1, "7"),
        ExperimentEnsured(1, "iris", "8"),
    ]
    return chance.choice(changes)


def told(read_model: ReadModel, texts: RunTexts) -> list[bytes]:
    """Return both runs as `texts` has them, which has to be what a look at every row gives."""
    with read_model.reading() as connection:
        kept = texts.of(connection, BOTH)
        assert kept == [json_bytes(run_json(view)) for view in load_runs(connection, BOTH)]
        for asked in (("7",), "", ViewType.ACTIVE_ONLY), (("7", "8"), "status = 'FINISHED'", ViewType.ALL):
            search = functools.partial(search_runs, connection, *asked)
            assert texts.page(connection, asked, search) == RunTexts().page(connection, asked, search)
    return kept


@pytest.fixture(params=["sqlite", "postgresql"])
def read_model(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ReadModel]:
    """An empty read model."""
    url = str(tmp_path / "read") if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
    with contextlib.closing(open_read_model(url)) as opened:
        yield opened


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    """An empty log."""
    with contextlib.closing(open_log(str(tmp_path / "log"))) as opened:
        yield opened


def test_texts_are_what_the_rows_say_after_every_change(log: EventLog, read_model: ReadModel) -> None:
    chance, producing, texts = random.Random(5), Producing(), RunTexts(max_bytes=4000)
    log.append([producing.record(CONTROL, ExperimentCreated(1, "7", "iris"))])
    log.append([producing.of_run(RunCreated(1, RUN, "7", "one", "ann", 1))])
    log.append([producing.of_run(RunCreated(1, OTHER_RUN, "8", "two", "ann", 1), run_id=OTHER_RUN)])
    seen = set()
    for number in range(26):
        change = a_change(chance, number)
        run_id = getattr(change, "run_id", None)
        place = producing.record(CONTROL, change) if run_id is None else producing.of_run(change, run_id=run_id)
        log.append([place])
        catch_up(log, read_model)
        seen.add(tuple(told(read_model, texts)))
        if number % 13 == 12:
            rebuild(log, read_model)
            told(read_model, texts)
    assert len(seen) > 10


def test_an_unchanged_run_is_not_read_again_and_memory_is_bounded(log: EventLog, read_model: ReadModel) -> None:
    producing, texts, none = Producing(), RunTexts(), RunTexts(max_bytes=10)
    log.append([producing.of_run(RunCreated(1, RUN, "7", "one", "ann", 1), TagSet(1, RUN, "t", "v"))])
    catch_up(log, read_model)
    with read_model.reading() as connection:
        statements = statements_of(connection)
        first = texts.of(connection, [RUN, "nowhere"])
        asked = len(statements)
        assert texts.of(connection, [RUN]) == first
        assert len(statements) == asked + 1, "more than the positions was read"
        assert none.of(connection, [RUN]) == none.of(connection, [RUN]) == first
        assert len(statements) > asked + 5, "a text that does not fit was kept"


def test_a_page_is_searched_for_again_once_any_partition_moved(log: EventLog, read_model: ReadModel) -> None:
    producing, texts, searches = Producing(), RunTexts(), 0

    def page() -> bytes:
        with read_model.reading() as connection:

            def search() -> RunPage:
                nonlocal searches
                searches += 1
                return search_runs(connection, ["7"])

            return texts.page(connection, "all of 7", search)

    log.append([producing.record(CONTROL, ExperimentCreated(1, "7", "iris"))])
    log.append([producing.of_run(RunCreated(1, RUN, "7", "one", "ann", 1))])
    catch_up(log, read_model)
    first = page()
    assert RUN.encode() in first
    assert page() == first
    assert searches == 1, "an unchanged page was searched for again"
    log.append([producing.of_run(RunCreated(1, OTHER_RUN, "7", "two", "ann", 2), run_id=OTHER_RUN)])
    catch_up(log, read_model)
    assert OTHER_RUN.encode() in page()
