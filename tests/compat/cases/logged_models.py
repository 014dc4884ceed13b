"""Logged models: create, get, finalize, params, tags, delete, artifacts."""

from __future__ import annotations

from tests.compat.script import Call, Group, call, case, get, post
from tests.compat.supersets import CHECKED_KEYS, DATABASE_ERROR, HALF_PARSED

_UNKNOWN = "m-" + "0" * 32


def _create(**fields: object) -> Call:
    return post("/logged-models", {"experiment_id": "{exp}", **fields},
                model="model.info.model_id", name="model.info.name")  # fmt: skip


_PLAIN = _create(name="plain", model_type="agent")
_SHOW = get("/logged-models/{model}")
_DELETE = call("DELETE", "/logged-models/{model}")


def _finalize(status: object) -> Call:
    return call("PATCH", "/logged-models/{model}", {"model_id": "{model}", "status": status})


def _params(*pairs: tuple[str, str]) -> Call:
    return post("/logged-models/{model}/params", {
        "model_id": "{model}", "params": [{"key": key, "value": value} for key, value in pairs]})  # fmt: skip


def _tags(*pairs: tuple[str, str]) -> Call:
    tags = [{"key": key, "value": value} for key, value in pairs]
    return call("PATCH", "/logged-models/{model}/tags", {"model_id": "{model}", "tags": tags})


def _metric(**fields: object) -> Call:
    return post("/runs/log-metric", {
        "run_id": "{run}", "key": "acc", "value": 0.5, "timestamp": 10, "model_id": "{model}", **fields})  # fmt: skip


GROUP = Group(
    "logged models",
    (
        post("/experiments/create", {"name": "models {unique}"}, exp="experiment_id"),
        post("/runs/create", {"experiment_id": "{exp}", "run_name": "r", "start_time": 5}, run="run.info.run_id"),
    ),
    (
        case("create and get", _PLAIN, _SHOW),
        case("create without a name", _create(), _SHOW),
        case("create with all", _create(name="all", model_type="t", source_run_id="{run}", params=[
            {"key": "a", "value": "1"}], tags=[{"key": "t", "value": "2"}]), _SHOW),
        case("create in an unknown experiment", post("/logged-models", {"experiment_id": "987654321", "name": "m"})),
        case("create in no experiment", post("/logged-models", {"name": "m"})),
        case("create with a slash in the name", _create(name="a/b")),
        case("create with a colon in the name", _create(name="a:b")),
        case("create with a dot in the name", _create(name="a.b")),
        case("create with a percent sign in the name", _create(name="a%b")),
        case("create with a quote in the name", _create(name="a'b")),
        case("create with a number as name", _create(name=1)),
        case("create with params that are no list", _create(name="m", params="a")),
        case("create with a unicode name", _create(name="模型"), _SHOW),
        case("get an unknown one", get(f"/logged-models/{_UNKNOWN}")),
        case("finalize", _PLAIN, _finalize("LOGGED_MODEL_READY"), _SHOW),
        case("finalize by number", _PLAIN, _finalize(2), _SHOW),
        case("finalize as failed", _PLAIN, _finalize("LOGGED_MODEL_UPLOAD_FAILED"), _SHOW),
        case("finalize twice", _PLAIN, _finalize("LOGGED_MODEL_READY"), _finalize("LOGGED_MODEL_READY")),
        case("finalize as pending", _PLAIN, _finalize("LOGGED_MODEL_PENDING"), _SHOW),
        case("finalize as nothing", _PLAIN, call("PATCH", "/logged-models/{model}", {"model_id": "{model}"})),
        case("finalize by the path alone", _PLAIN, call("PATCH", "/logged-models/{model}", {
            "status": "LOGGED_MODEL_READY"}), superset="the id in the path is enough; stock wants it in the body too"),
        case("finalize as a word", _PLAIN, _finalize("DONE"), superset=HALF_PARSED),
        case("finalize an unknown one", call("PATCH", f"/logged-models/{_UNKNOWN}", {
            "model_id": _UNKNOWN, "status": "LOGGED_MODEL_READY"})),
        case("params", _PLAIN, _params(("a", "1"), ("b", "")), _SHOW),
        case("params of nothing", _PLAIN, _params(), _SHOW),
        case("params changed", _PLAIN, _params(("a", "1")), _params(("a", "2")), _SHOW, superset=DATABASE_ERROR),
        case("params of an unknown one", post(f"/logged-models/{_UNKNOWN}/params", {"model_id": _UNKNOWN, "params": [
            {"key": "a", "value": "1"}]})),
        case("params too long", _PLAIN, _params(("a", "v" * 6001)), _SHOW,
             superset="a model's params have the limit of a run's, and are cut to it as those are"),
        case("params with a bad key", _PLAIN, _params(("a//b", "1")), superset=CHECKED_KEYS),
        case("params with a long key", _PLAIN, _params(("k" * 251, "1")), superset=CHECKED_KEYS),
        case("tags", _PLAIN, _tags(("a", "1"), ("b", "2")), _tags(("a", "3")), _SHOW),
        case("tags of nothing", _PLAIN, _tags(), _SHOW),
        case("tags of one key twice", _PLAIN, _tags(("a", "1"), ("a", "2")), _SHOW),
        case("tags of an unknown one", call("PATCH", f"/logged-models/{_UNKNOWN}/tags", {"model_id": _UNKNOWN, "tags": [
            {"key": "a", "value": "1"}]})),
        case("tags with a bad key", _PLAIN, _tags(("a//b", "1")), superset=CHECKED_KEYS),
        case("tag deleted", _PLAIN, _tags(("a", "1")), call("DELETE", "/logged-models/{model}/tags/a"), _SHOW),
        case("tag deleted that is not there", _PLAIN, call("DELETE", "/logged-models/{model}/tags/a")),
        case("tag deleted of an unknown one", call("DELETE", f"/logged-models/{_UNKNOWN}/tags/a")),
        case("delete", _PLAIN, _DELETE, _SHOW),
        case("delete twice", _PLAIN, _DELETE, _DELETE),
        case("delete an unknown one", call("DELETE", f"/logged-models/{_UNKNOWN}")),
        case("write to a deleted one", _PLAIN, _DELETE, _tags(("a", "1")), _params(("a", "1"))),
        case("metric", _PLAIN, _metric(), _SHOW),
        case("metric of a dataset", _PLAIN, _metric(dataset_name="iris", dataset_digest="d1"), _SHOW),
        case("metric at two steps", _PLAIN, _metric(step=1), _metric(step=2, value=0.7), _SHOW),
        case("metrics in a batch", _PLAIN, post("/runs/log-batch", {"run_id": "{run}", "metrics": [
            {"key": "f1", "value": 0.25, "timestamp": 7, "step": 1, "model_id": "{model}", "dataset_name": "d",
             "dataset_digest": "x"}]}), _SHOW),
        case("artifacts of none", _PLAIN, get("/logged-models/{model}/artifacts/directories")),
        case("artifacts of an unknown one", get(f"/logged-models/{_UNKNOWN}/artifacts/directories")),
        case("artifacts of a deleted one", _PLAIN, _DELETE, get("/logged-models/{model}/artifacts/directories")),
        case("a model of an experiment that is deleted",
             post("/experiments/create", {"name": "gone {unique}"}, gone="experiment_id"),
             post("/logged-models", {"experiment_id": "{gone}", "name": "m"}, model="model.info.model_id"),
             post("/experiments/delete", {"experiment_id": "{gone}"}), _SHOW,
             post("/logged-models", {"experiment_id": "{gone}", "name": "m"})),
    ),
)  # fmt: skip
