"""Runs as a whole: create, get, update, delete, restore."""

from __future__ import annotations

from tests.compat.script import Call, Group, case, get, post
from tests.compat.supersets import CHECKED_KEYS, DATABASE_ERROR, DEFAULTS, HALF_PARSED, LAST_OF_TWO


def _create(**fields: object) -> Call:
    return post("/runs/create", {"experiment_id": "{exp}", **fields}, run="run.info.run_id", name="run.info.run_name")


def _update(**fields: object) -> Call:
    return post("/runs/update", {"run_id": "{run}", **fields})


_PLAIN = _create(run_name="plain", start_time=1234, user_id="ada")
_SHOW = get("/runs/get", {"run_id": "{run}"})
_DELETE, _RESTORE = post("/runs/delete", {"run_id": "{run}"}), post("/runs/restore", {"run_id": "{run}"})
_UNKNOWN = "0" * 32

GROUP = Group(
    "runs",
    (post("/experiments/create", {"name": "runs {unique}"}, exp="experiment_id"),),
    (
        case("create and get", _PLAIN, _SHOW),
        case("create without a name", _create(start_time=5), _SHOW),
        case("create without a start", _create(run_name="a"), _SHOW, superset=DEFAULTS),
        case("create with tags", _create(run_name="a", start_time=5, tags=[
            {"key": "x", "value": "y"}, {"key": "mlflow.user", "value": "bob"}]), _SHOW, superset=
             "without user_id, the tag mlflow.user says whose run it is"),
        case("create named by a tag", _create(start_time=5, tags=[{"key": "mlflow.runName",
             "value": "tagged"}]), _SHOW),
        case("create named by a tag and otherwise", _create(
            run_name="other", tags=[{"key": "mlflow.runName", "value": "tagged"}])),
        case("create named twice alike", _create(
            run_name="same", start_time=5, tags=[{"key": "mlflow.runName", "value": "same"}]), _SHOW),
        case("create with an empty name", _create(run_name="", start_time=5), _SHOW),
        case("create with a long name", _create(run_name="n" * 300, start_time=5), _SHOW),
        case("create with a unicode name", _create(run_name="é 模型", start_time=5), _SHOW),
        case("create with a source", _create(start_time=5, run_name="s", tags=[
            {"key": "mlflow.source.name", "value": "train.py"}, {"key": "mlflow.source.type",
            "value": "LOCAL"}]), _SHOW),
        case("create in no experiment", post("/runs/create", {"start_time": 5}), superset=DATABASE_ERROR),
        case("create in an unknown experiment", post("/runs/create", {"experiment_id": "987654321"})),
        case("create in an experiment that is no number", post("/runs/create", {"experiment_id": "x"})),
        case("create in an experiment given as a number", post("/runs/create", {"experiment_id": 0})),
        case("create in the default experiment", post("/runs/create", {"experiment_id": "0", "run_name": "d",
             "start_time": 5},
                                                      run="run.info.run_id"), _SHOW),
        case("create with a start that is a text", _create(start_time="7", run_name="a"), _SHOW),
        case("create with a start that is a word", _create(start_time="soon", run_name="a")),
        case("create with tags that are no list", _create(tags="a", start_time=5), superset=HALF_PARSED),
        case("create with a tag without a key", _create(tags=[{"value": "x"}], start_time=5), superset=CHECKED_KEYS),
        case("create with a bad tag key", _create(run_name="a", tags=[{"key": "a//b", "value": "x"}]),
             superset=CHECKED_KEYS),
        case("create with a tag twice", _create(run_name="a", start_time=5, tags=[
            {"key": "x", "value": "1"}, {"key": "x", "value": "2"}]), superset=LAST_OF_TWO),
        case("get by run_uuid", _PLAIN, get("/runs/get", {"run_uuid": "{run}"})),
        case("get an unknown one", get("/runs/get", {"run_id": _UNKNOWN})),
        case("get by an id that is none", get("/runs/get", {"run_id": "x"})),
        case("get by an id with a path", get("/runs/get", {"run_id": "../x"})),
        case("get without an id", get("/runs/get")),
        case("finish", _PLAIN, _update(status="FINISHED", end_time=5678), _SHOW),
        case("fail", _PLAIN, _update(status="FAILED", end_time=5678), _SHOW),
        case("kill", _PLAIN, _update(status="KILLED", end_time=5678), _SHOW),
        case("schedule", _PLAIN, _update(status="SCHEDULED"), _SHOW),
        case("finish without an end", _PLAIN, _update(status="FINISHED"), _SHOW),
        case("run again", _PLAIN, _update(status="FINISHED", end_time=5678), _update(status="RUNNING"), _SHOW),
        case("status as a number", _PLAIN, _update(status=3, end_time=5678), _SHOW),
        case("status unknown", _PLAIN, _update(status="SLEEPING"), _SHOW, superset=HALF_PARSED),
        case("end without a status", _PLAIN, _update(end_time=5678), _SHOW),
        case("rename", _PLAIN, _update(run_name="renamed"), _SHOW),
        case("rename to nothing", _PLAIN, _update(run_name=""), _SHOW),
        case("rename by the tag", _PLAIN,
             post("/runs/set-tag", {"run_id": "{run}", "key": "mlflow.runName", "value": "by tag"}), _SHOW),
        case("rename to what has room in a tag", _PLAIN, _update(run_name="n" * 250), _SHOW),
        case("update nothing", _PLAIN, _update()),
        case("update an unknown one", post("/runs/update", {"run_id": _UNKNOWN, "status": "FINISHED"})),
        case("update without an id", post("/runs/update", {"status": "FINISHED"})),
        case("update a deleted one", _PLAIN, _DELETE, _update(status="FINISHED")),
        case("delete and restore", _PLAIN, _DELETE, _SHOW, _RESTORE, _SHOW),
        case("delete twice", _PLAIN, _DELETE, _DELETE),
        case("restore an active one", _PLAIN, _RESTORE, _SHOW),
        case("delete an unknown one", post("/runs/delete", {"run_id": _UNKNOWN})),
        case("restore an unknown one", post("/runs/restore", {"run_id": _UNKNOWN})),
        case("delete without an id", post("/runs/delete", {})),
        case("write to a deleted one", _PLAIN, _DELETE,
             post("/runs/log-parameter", {"run_id": "{run}", "key": "a", "value": "1"}),
             post("/runs/log-metric", {"run_id": "{run}", "key": "a", "value": 1, "timestamp": 1}),
             post("/runs/set-tag", {"run_id": "{run}", "key": "a", "value": "1"}),
             post("/runs/delete-tag", {"run_id": "{run}", "key": "a"}),
             post("/runs/log-batch", {"run_id": "{run}"}),
             post("/runs/log-inputs", {"run_id": "{run}"})),
        case("nested runs", _PLAIN, post("/runs/create", {
            "experiment_id": "{exp}", "run_name": "child", "start_time": 6, "tags": [
                {"key": "mlflow.parentRunId", "value": "{run}"}]}, child="run.info.run_id"),
            post("/runs/search", {"experiment_ids": ["{exp}"], "filter": "tags.`mlflow.parentRunId` = '{run}'"})),
    ),
)  # fmt: skip
