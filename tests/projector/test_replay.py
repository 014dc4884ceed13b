"""Any split and re-delivery of the same records gives the same read model; a rebuild proves it."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from mltrail_core.errors import Conflict, Unavailable
from mltrail_core.events import Event, ParamLogged, RunCreated, RunDeleted, RunRestored, TagDeleted, TagSet
from mltrail_core.ids import PARTITIONS
from mltrail_core.log import EventLog, NewRecord, open_log
from mltrail_core.readmodel import tables
from mltrail_core.readmodel.store import ReadModel, open_read_model
from mltrail_projector.batch import project_batch
from mltrail_projector.digest import Digest, digest_read_model
from mltrail_projector.loop import catch_up
from mltrail_projector.memory import Memory
from mltrail_projector.positions import read_positions
from mltrail_projector.rebuild import Different, _only_rebuild, rebuild
from tests.projector.producing import OTHER_RUN, RUN, Producing, metrics
from tests.projector.projecting import projecting, wait_for
from tests.thorough import examples

KEYS = st.sampled_from(["loss", "acc", "val/loss"])
VALUES = st.floats(width=64)
EVENTS = st.one_of(
    st.builds(
        lambda run, key, values, step: metrics(run, key, *values, first_step=step),
        st.sampled_from([RUN, OTHER_RUN]),
        KEYS,
        st.lists(VALUES, max_size=4),
        st.integers(-3, 3),
    ),
    st.builds(lambda run, key, value: ParamLogged(1, run, key, value), st.sampled_from([RUN, OTHER_RUN]), KEYS, KEYS),
    st.builds(lambda run, key, value: TagSet(1, run, key, value), st.sampled_from([RUN, OTHER_RUN]), KEYS, KEYS),
    st.builds(lambda run, key: TagDeleted(1, run, key), st.sampled_from([RUN, OTHER_RUN]), KEYS),
    st.builds(lambda run: RunCreated(1, run, "0", "name", "ann", 1), st.sampled_from([RUN, OTHER_RUN])),
    st.sampled_from([RunDeleted(1, RUN), RunRestored(1, RUN)]),
)


def digest_of(read_model: ReadModel) -> Digest:
    with read_model.reading() as connection:
        return digest_read_model(connection)


def project_in_pieces(log: EventLog, read_model: ReadModel, sizes: Sequence[int]) -> None:
    generation = read_model.live_generation()
    positions, memory = read_positions(read_model, generation), Memory()
    for round_number in range(10_000):
        batch = {}
        for number, partition in enumerate(PARTITIONS):
            size = sizes[(round_number + number) % len(sizes)]
            entries = log.read(partition, after=positions[partition], max_records=size)
            if entries:
                batch[partition] = entries
        if not batch:
            return
        positions.update(project_batch(read_model, generation, batch, memory=memory).positions)
    raise AssertionError("no end in sight")


@settings(max_examples=examples(4, 8), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    events=st.lists(EVENTS, min_size=1, max_size=25),
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    resends=st.lists(st.integers(0, 10**6), max_size=8),
)
def test_any_split_and_redelivery_gives_the_same_read_model(
    events: list[Event], sizes: list[int], resends: list[int]
) -> None:
    producing = Producing()
    records = [producing.of_run(event, run_id=getattr(event, "run_id", RUN)) for event in events]
    with TemporaryDirectory() as folder:
        once, again = open_log(f"{folder}/once"), open_log(f"{folder}/again", identity=None)
        once.append(records)
        for number, record in enumerate(records):
            again.append([record, *(records[resend % (number + 1)] for resend in resends if resend % 3 == number % 3)])
        whole, split = open_read_model(f"{folder}/whole"), open_read_model(f"{folder}/split")
        catch_up(once, whole)
        project_in_pieces(again, split, sizes)
        # The places of records differ where some were sent twice; what they said must not.
        content = [
            tables.runs,
            tables.params,
            tables.tags,
            tables.metric_summaries,
            tables.metric_blocks,
            tables.producer_records,
            tables.experiment_keys,
        ]
        ours, theirs = digest_of(whole), digest_of(split)
        same = {table.name for table in content}
        same -= {"runs"}  # created_us is the log's time of appending
        assert {name: ours.tables[name] for name in same} == {name: theirs.tables[name] for name in same}
        rebuilt = rebuild(again, split)
        assert rebuilt.is_equal
        for closing in (once, again, whole, split):
            closing.close()


def fill(log: EventLog, runs: int = 5, records: int = 30) -> None:
    random.seed(7)
    producing = Producing("filler")
    for number in range(runs):
        run_id = f"{number:032x}"
        log.append([producing.of_run(RunCreated(1, run_id, "0", "name", "ann", 1), run_id=run_id)])
        sent: list[NewRecord] = []
        for step in range(records):
            sent.append(producing.of_run(metrics(run_id, "loss", random.random(), first_step=step), run_id=run_id))
        log.append(sent)


def test_rebuild_gives_an_equal_digest_and_swaps_generations(log: EventLog, read_model: ReadModel) -> None:
    fill(log)
    catch_up(log, read_model)
    before = digest_of(read_model)
    report = rebuild(log, read_model)
    assert report.is_equal
    assert read_model.live_generation() == report.new_generation == 2
    assert digest_of(read_model) == before
    assert rebuild(log, read_model).new_generation == 3
    assert read_model.generations() == [2, 3]


def test_projector_follows_a_rebuild_while_trainers_write(log: EventLog, read_model: ReadModel) -> None:
    writing = threading.Thread(target=fill, args=(log, 20, 40))
    with projecting(log, read_model):
        writing.start()
        try:
            reports = [rebuild(log, read_model) for _ in range(3)]
        finally:
            writing.join()
    catch_up(log, read_model)
    assert all(report.is_equal for report in reports)
    assert rebuild(log, read_model).is_equal


def test_rebuild_refuses_to_hide_a_difference(log: EventLog, read_model: ReadModel) -> None:
    fill(log)
    catch_up(log, read_model)
    with read_model.writing(1) as connection:
        connection.execute(update(tables.metric_summaries).values(last_value=666.0))
    with pytest.raises(Different, match="metric_summaries") as caught:
        rebuild(log, read_model)
    assert caught.value.report.differing == ["metric_summaries"]
    assert read_model.live_generation() == 1
    assert read_model.generations() == [1]
    rebuild(log, read_model, accept_difference=True)
    assert read_model.live_generation() == 2


def test_one_rebuild_at_a_time(log: EventLog, read_model: ReadModel) -> None:
    fill(log, 1, 1)
    catch_up(log, read_model)
    with _only_rebuild(read_model), pytest.raises(Conflict, match="another rebuild"):
        rebuild(log, read_model)
    assert rebuild(log, read_model).is_equal


def test_digests_see_every_table(log: EventLog, read_model: ReadModel, tmp_path: Path) -> None:
    fill(log, 1, 1)
    catch_up(log, read_model)
    assert set(digest_of(read_model).tables) == set(tables.METADATA.tables)


def test_generation_of_another_version_is_rebuilt_before_it_is_read(
    log: EventLog, read_model: ReadModel, read_model_url: str
) -> None:
    fill(log, 2, 3)
    catch_up(log, read_model)
    before = digest_of(read_model)
    with read_model.writing(1) as connection:
        connection.execute(update(tables.generation).values(schema_hash="of another version"))
    reopened = open_read_model(read_model_url)
    try:
        with pytest.raises(Unavailable, match="another version"), reopened.reading():
            pass
        with projecting(log, reopened):
            wait_for(lambda: reopened.live_generation() == 2)
        assert digest_of(reopened) == before
    finally:
        reopened.close()


def test_rebuild_gives_way_to_one_that_swapped_in_between(
    log: EventLog, read_model: ReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(log, 1, 1)
    catch_up(log, read_model)
    monkeypatch.setattr(type(read_model), "is_live", lambda self, connection, generation: False)
    with pytest.raises(Conflict, match="no longer live"):
        rebuild(log, read_model)
    assert read_model.generations() == [1]
