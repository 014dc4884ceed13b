"""What a reader sees of records that were appended, re-sent, rejected, or could not be decoded."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from sqlalchemy import Table, select

from mltrail_core.events import (
    ArtifactDeleted,
    ArtifactStored,
    DatasetInputLogged,
    Event,
    ExperimentCreated,
    ExperimentDeleted,
    ExperimentEnsured,
    ExperimentRenamed,
    ExperimentTagSet,
    ModelVersionCreated,
    ParamLogged,
    ProducerClosed,
    ProducerOpened,
    RegisteredModelCreated,
    RunCreated,
    RunDeleted,
    RunRenamed,
    RunRestored,
    RunStatusChanged,
    TagDeleted,
    TagSet,
)
from mltrail_core.ids import CONTROL, partition_of
from mltrail_core.intervals import parse_intervals
from mltrail_core.log import EventLog, NewRecord
from mltrail_core.metric_block import MetricPoint, block_of_bytes
from mltrail_core.readmodel import tables
from mltrail_core.readmodel.store import ReadModel
from mltrail_core.record import FrozenRecord
from mltrail_projector import marks
from mltrail_projector.loop import catch_up
from mltrail_projector.rows import Row
from tests.projector.producing import OTHER_RUN, RUN, Producing, metrics

BEGUN = RunCreated(1, RUN, "0", "first", "ann", 1)


def rows(read_model: ReadModel, table: Table) -> list[Row]:
    with read_model.reading() as connection:
        return [dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()]


def row(read_model: ReadModel, table: Table) -> Row:
    (only,) = rows(read_model, table)
    return only


def project(log: EventLog, read_model: ReadModel, *events: Event) -> None:
    """Append the events to the run's partition in one record of a fresh producer, and project them."""
    name = f"producer-{log.heads()[partition_of(RUN)]}"
    log.append([Producing(name).of_run(*events)])
    catch_up(log, read_model)


def project_control(log: EventLog, read_model: ReadModel, *events: Event) -> None:
    log.append([Producing(f"control-{log.heads()[CONTROL]}").record(CONTROL, *events)])
    catch_up(log, read_model)


def reasons(read_model: ReadModel) -> list[tuple[object, object]]:
    return [(found["wire_name"], found["reason"]) for found in rows(read_model, tables.rejections)]


def test_run_is_running_until_its_status_changes(log: EventLog, read_model: ReadModel) -> None:
    project(log, read_model, BEGUN)
    assert row(read_model, tables.runs)["status"] == "RUNNING"
    project(log, read_model, RunStatusChanged(2, RUN, "FINISHED", 77))
    found = row(read_model, tables.runs)
    assert (found["status"], found["ended_us"]) == ("FINISHED", 77)


def test_changed_param_is_rejected_and_keeps_its_value(log: EventLog, read_model: ReadModel) -> None:
    project(log, read_model, BEGUN, ParamLogged(2, RUN, "lr", "0.1"))
    project(log, read_model, ParamLogged(3, RUN, "lr", "0.1"), ParamLogged(4, RUN, "lr", "0.2"))
    assert row(read_model, tables.params)["value"] == "0.1"
    rejection = row(read_model, tables.rejections)
    assert rejection["reason"] == "param_changed"
    assert "'0.1'" in str(rejection["message"])
    assert "'0.2'" in str(rejection["message"])
    assert rejection["number"] == 1


def test_events_after_a_rejected_one_still_count(log: EventLog, read_model: ReadModel) -> None:
    project(log, read_model, BEGUN, RunStatusChanged(2, RUN, "DANCING"), TagSet(3, RUN, "team", "vision"))
    assert reasons(read_model) == [("run_status_changed", "invalid")]
    assert {found["key"] for found in rows(read_model, tables.tags)} == {"mlflow.runName", "team"}


@pytest.mark.parametrize(
    "event",
    [TagSet(2, RUN, "a", "b"), ParamLogged(2, RUN, "a", "b"), metrics(RUN, "loss", 1.0), RunRenamed(2, RUN, "x")],
)
def test_deleted_run_takes_no_writes_until_restored(log: EventLog, read_model: ReadModel, event: Event) -> None:
    project(log, read_model, BEGUN, RunDeleted(1, RUN), event)
    assert reasons(read_model) == [(event.WIRE_NAME, "subject_deleted")]
    project(log, read_model, RunRestored(3, RUN), event)
    assert len(reasons(read_model)) == 1


def test_what_came_before_the_run_was_created_is_kept(log: EventLog, read_model: ReadModel) -> None:
    project(log, read_model, metrics(RUN, "loss", 1.0), TagSet(1, RUN, "mlflow.runName", "early"))
    assert row(read_model, tables.runs)["experiment_id"] == ""
    project(log, read_model, BEGUN, BEGUN)
    run = row(read_model, tables.runs)
    assert (run["experiment_id"], run["name"], run["user"], run["started_us"]) == ("0", "early", "ann", 1)
    assert row(read_model, tables.metric_summaries)["logged_points"] == 1
    assert reasons(read_model) == [("run_created", "already_exists")]


def test_name_tag_and_name_of_a_run_are_one(log: EventLog, read_model: ReadModel) -> None:
    project(log, read_model, BEGUN, TagSet(2, RUN, "mlflow.runName", "second"))
    assert row(read_model, tables.runs)["name"] == "second"
    project(log, read_model, RunRenamed(3, RUN, "third"))
    assert row(read_model, tables.tags)["value"] == "third"


def test_deleting_a_tag_that_is_not_there_is_rejected(log: EventLog, read_model: ReadModel) -> None:
    project(log, read_model, BEGUN, TagSet(2, RUN, "a", "b"), TagDeleted(3, RUN, "a"), TagDeleted(4, RUN, "a"))
    assert reasons(read_model) == [("tag_deleted", "not_there")]


def test_points_come_back_as_they_were_logged(log: EventLog, read_model: ReadModel) -> None:
    project(log, read_model, BEGUN, metrics(RUN, "loss", 3.0, math.nan, 1.0), metrics(RUN, "acc", math.inf))
    block = block_of_bytes(bytes(row(read_model, tables.metric_blocks)["block"]))  # type: ignore[arg-type]
    points = block.points()
    assert points[0] == MetricPoint("loss", 3.0, 0, 1000)
    assert math.isnan(points[1].value)
    assert points[3] == MetricPoint("acc", math.inf, 0, 1000)


def test_summary_is_by_step_time_value_with_nan_below_numbers(log: EventLog, read_model: ReadModel) -> None:
    late = [metrics(RUN, "loss", 5.0, first_step=9), metrics(RUN, "loss", math.nan, first_step=9)]
    project(log, read_model, BEGUN, *late, metrics(RUN, "loss", 7.0, 2.0, math.nan))
    summary = row(read_model, tables.metric_summaries)
    assert (summary["last_step"], summary["last_value"]) == (9, 5.0)
    assert (summary["first_step"], summary["first_value"]) == (0, 7.0)
    assert (summary["min_value"], summary["min_step"]) == (2.0, 1)
    assert (summary["max_value"], summary["max_step"]) == (7.0, 0)
    assert summary["logged_points"] == 5


def test_summary_of_nothing_but_nan_has_no_extremes(log: EventLog, read_model: ReadModel) -> None:
    project(log, read_model, BEGUN, metrics(RUN, "loss", math.nan))
    project(log, read_model, metrics(RUN, "loss", math.nan, first_step=1))
    summary = row(read_model, tables.metric_summaries)
    assert (summary["last_value"], summary["min_value"], summary["max_step"]) == (None, None, None)
    assert summary["last_step"] == 1


def test_record_sent_again_changes_nothing(log: EventLog, read_model: ReadModel) -> None:
    producing = Producing()
    first, second = producing.of_run(BEGUN), producing.of_run(metrics(RUN, "loss", 1.0))
    log.append([first, second, second, first])
    catch_up(log, read_model)
    log.append([second])
    catch_up(log, read_model)
    assert row(read_model, tables.metric_summaries)["logged_points"] == 1
    assert rows(read_model, tables.rejections) == []


def test_sequence_used_for_another_record_is_rejected_loudly(log: EventLog, read_model: ReadModel) -> None:
    log.append([Producing().of_run(BEGUN)])
    catch_up(log, read_model)
    log.append([Producing().of_run(TagSet(1, RUN, "a", "b"))])
    catch_up(log, read_model)
    assert reasons(read_model) == [(None, "sequence_reused")]
    assert row(read_model, tables.tags)["key"] == "mlflow.runName"


def test_bytes_that_are_no_record_are_a_rejection(log: EventLog, read_model: ReadModel) -> None:
    log.append([NewRecord(CONTROL, FrozenRecord(b"junk"))])
    catch_up(log, read_model)
    rejection = row(read_model, tables.rejections)
    assert (rejection["partition"], rejection["index"], rejection["number"]) == (CONTROL, 1, -1)
    assert rejection["reason"] == "undecodable"


def test_record_in_another_partition_than_it_says_is_rejected(log: EventLog, read_model: ReadModel) -> None:
    log.append([NewRecord(CONTROL, Producing().of_run(BEGUN).frozen)])
    catch_up(log, read_model)
    assert reasons(read_model) == [(None, "wrong_partition")]


def test_marks_say_what_was_received_and_what_is_missing(log: EventLog, read_model: ReadModel) -> None:
    producing = Producing()
    sent = [producing.of_run(ProducerOpened(1, RUN, "host-1", 42), BEGUN)]
    sent += [producing.of_run(metrics(RUN, "loss", float(n))) for n in range(5)]
    sent += [producing.of_run(ProducerClosed(9, 7))]
    log.append([record for n, record in enumerate(sent) if n != 3])
    catch_up(log, read_model)
    found = row(read_model, tables.producers)
    assert (found["run_id"], found["host"], found["process_id"], found["last_sequence"]) == (RUN, "host-1", 42, 7)
    assert str(parse_intervals(str(found["intervals"])).missing(7)) == "4"
    log.append([sent[3]])
    catch_up(log, read_model)
    assert row(read_model, tables.producers)["intervals"] == "1-7"


def test_experiment_name_is_taken_once_and_ensured_by_alias(log: EventLog, read_model: ReadModel) -> None:
    project_control(log, read_model, ExperimentCreated(1, "11", "iris"), ExperimentCreated(2, "12", "iris"))
    project_control(log, read_model, ExperimentEnsured(3, "13", "iris"), ExperimentEnsured(4, "14", "wine"))
    assert {found["experiment_id"] for found in rows(read_model, tables.experiments)} == {"11", "14"}
    assert row(read_model, tables.experiment_aliases) == {"proposed_id": "13", "experiment_id": "11"}
    assert reasons(read_model) == [("experiment_created", "name_taken")]


def test_renamed_experiment_frees_its_name(log: EventLog, read_model: ReadModel) -> None:
    project_control(log, read_model, ExperimentCreated(1, "11", "iris"), ExperimentRenamed(2, "11", "flowers"))
    project_control(log, read_model, ExperimentCreated(3, "12", "iris"), ExperimentDeleted(4, "12"))
    project_control(log, read_model, ExperimentCreated(5, "13", "iris"), ExperimentRenamed(6, "12", "x"))
    assert reasons(read_model) == [("experiment_created", "name_taken"), ("experiment_renamed", "subject_deleted")]


def test_fold_hands_out_version_numbers(log: EventLog, read_model: ReadModel) -> None:
    version = ModelVersionCreated(1, "iris", "models:/m-1", "mlflow-artifacts:/0/x")
    project_control(log, read_model, version, RegisteredModelCreated(1, "iris"), version, version)
    assert [found["version"] for found in rows(read_model, tables.model_versions)] == [1, 2]
    assert reasons(read_model) == [("model_version_created", "unknown_subject")]


def test_overwritten_and_deleted_artifacts_keep_their_past(log: EventLog, read_model: ReadModel) -> None:
    project(log, read_model, BEGUN, *(ArtifactStored(1, RUN, "a/model.pkl", 3, letter * 64) for letter in "ab"))
    assert row(read_model, tables.artifacts)["sha256"] == "b" * 64
    project(log, read_model, ArtifactDeleted(2, RUN, "a"), ArtifactStored(3, RUN, "../etc", 1, "c" * 64))
    assert rows(read_model, tables.artifacts) == []
    assert [found["sha256"] for found in rows(read_model, tables.artifact_versions)] == ["a" * 64, "b" * 64, None]
    assert reasons(read_model) == [("artifact_stored", "invalid")]


def test_changes_name_the_records_that_touched_a_subject(log: EventLog, read_model: ReadModel) -> None:
    project(log, read_model, BEGUN)
    project(log, read_model, metrics(RUN, "loss", 1.0))
    project(log, read_model, TagSet(1, RUN, "a", "b"), TagSet(2, OTHER_RUN, "a", "b"))
    assert [found["index"] for found in rows(read_model, tables.changes)] == [1, 3]


def test_event_of_a_run_of_another_partition_is_rejected(log: EventLog, read_model: ReadModel) -> None:
    project(log, read_model, BEGUN, TagSet(2, OTHER_RUN, "a", "b"))
    project_control(log, read_model, BEGUN)
    assert reasons(read_model) == [("tag_set", "wrong_partition"), ("run_created", "wrong_partition")]


def test_deleting_a_loose_file_leaves_those_of_other_partitions(log: EventLog, read_model: ReadModel) -> None:
    producing = Producing()
    stored = [ArtifactStored(1, "files", path, 1, "a" * 64) for path in ("a", "a/b")]
    log.append([producing.record(partition_of(f"files/{event.path}"), event) for event in stored])
    log.append([producing.record(partition_of("files/a"), ArtifactDeleted(2, "files", "a"))])
    catch_up(log, read_model)
    assert [found["path"] for found in rows(read_model, tables.artifacts)] == ["a/b"]


@pytest.mark.parametrize(
    "event",
    [
        TagSet(1, "x" * 5000, "a", "b"),
        TagSet(1, "no id", "a", "b"),
        ArtifactStored(1, RUN, "\U0001f600" * 600, 1, "a" * 64),
        DatasetInputLogged(1, RUN, "n" * 501, "d", "local", "{}"),
        DatasetInputLogged(1, RUN, "n", "d" * 37, "local", "{}"),
    ],
)
def test_what_no_index_could_hold_is_rejected(log: EventLog, read_model: ReadModel, event: Event) -> None:
    project(log, read_model, BEGUN, event)
    assert reasons(read_model) == [(event.WIRE_NAME, "invalid")]


def test_the_longest_of_everything_can_be_written(log: EventLog, read_model: ReadModel) -> None:
    wide = "\U00020000"  # a letter of four bytes
    linked = replace(metrics(RUN, wide * 250, 1.0), model_id="m-1", dataset_name=wide * 250, dataset_digest=wide * 36)
    project(
        log,
        read_model,
        BEGUN,
        linked,
        TagSet(1, RUN, wide * 250, wide * 8000),
        ParamLogged(1, RUN, wide * 250, wide * 6000),
        ArtifactStored(1, RUN, "/".join(wide * 7 for _ in range(68)), 1, "a" * 64),
        DatasetInputLogged(1, RUN, wide * 250, wide * 36, "local", "{}"),
    )
    assert reasons(read_model) == []
    project_control(log, read_model, ExperimentCreated(1, "7", wide * 500), ExperimentTagSet(1, "7", wide * 250, "v"))
    assert reasons(read_model) == []


def test_producer_may_leave_only_so_many_holes(
    log: EventLog, read_model: ReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks, "MAX_INTERVALS", 3)
    producing = Producing()
    sent = [producing.of_run(BEGUN), *(producing.of_run(TagSet(1, RUN, "n", str(n))) for n in range(8))]
    log.append(sent[::2])
    catch_up(log, read_model)
    assert row(read_model, tables.producers)["intervals"] == "1,3,5"
    assert reasons(read_model) == [(None, "invalid"), (None, "invalid")]
