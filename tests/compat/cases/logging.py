"""What is logged to a run: params, metrics, tags, batches."""

from __future__ import annotations

from tests.compat.script import Call, Group, case, get, post
from tests.compat.supersets import HALF_PARSED, INFINITY

_RUN = post("/runs/create", {"experiment_id": "{exp}", "run_name": "r", "start_time": 5}, run="run.info.run_id")
_SHOW = get("/runs/get", {"run_id": "{run}"})
_UNKNOWN = "0" * 32


def _param(key: object, value: object) -> Call:
    return post("/runs/log-parameter", {"run_id": "{run}", "key": key, "value": value})


def _metric(**fields: object) -> Call:
    return post("/runs/log-metric", {"run_id": "{run}", **fields})


def _tag(key: object, value: object) -> Call:
    return post("/runs/set-tag", {"run_id": "{run}", "key": key, "value": value})


def _batch(**fields: object) -> Call:
    return post("/runs/log-batch", {"run_id": "{run}", **fields})


def _points(count: int) -> list[object]:
    return [{"key": f"m{n}", "value": n, "timestamp": 1, "step": 0} for n in range(count)]


def _pairs(count: int) -> list[object]:
    return [{"key": f"k{n}", "value": f"v{n}"} for n in range(count)]


def _model(model_json: str) -> Call:
    return post("/runs/log-model", {"run_id": "{run}", "model_json": model_json})


_MODEL_JSON = (
    '{"artifact_path": "m", "run_id": "r", "utc_time_created": "t", "model_uuid": "u", '
    '"flavors": {"spark": {"config": {"a": 1}, "code": null}, "python_function": {"env": "conda.yaml"}}}'
)
_HISTORY = get("/metrics/get-history", {"run_id": "{run}", "metric_key": "a"})

GROUP = Group(
    "logging",
    (post("/experiments/create", {"name": "logging {unique}"}, exp="experiment_id"),),
    (
        case("param", _RUN, _param("lr", "0.1"), _SHOW),
        case("param said again", _RUN, _param("lr", "0.1"), _param("lr", "0.1"), _SHOW),
        case("param changed", _RUN, _param("lr", "0.1"), _param("lr", "0.2"), _SHOW),
        case("param empty", _RUN, _param("lr", ""), _SHOW),
        case("param of 6000", _RUN, _param("lr", "v" * 6000), _SHOW),
        case("param of 6001", _RUN, _param("lr", "v" * 6001), _SHOW),
        case("param with a slash", _RUN, _param("a/b", "1"), _SHOW),
        case("param with a colon", _RUN, _param("a:b", "1"), _SHOW),
        case("param with a blank", _RUN, _param("a b", "1"), _SHOW),
        case("param with a unicode key", _RUN, _param("é", "1"), _SHOW),
        case("param with dots", _RUN, _param("../a", "1")),
        case("param with a slash first", _RUN, _param("/a", "1")),
        case("param with two slashes", _RUN, _param("a//b", "1")),
        case("param with a bad character", _RUN, _param("a$b", "1")),
        case("param with a key of 250", _RUN, _param("k" * 250, "1"), _SHOW),
        case("param with a key of 251", _RUN, _param("k" * 251, "1")),
        case("param with an empty key", _RUN, _param("", "1")),
        case("param with a number as value", _RUN, _param("a", 1)),
        case("param without a key", _RUN, post("/runs/log-parameter", {"run_id": "{run}", "value": "1"})),
        case("param without a value", _RUN, post("/runs/log-parameter", {"run_id": "{run}", "key": "a"})),
        case("param of an unknown run", post("/runs/log-parameter", {"run_id": _UNKNOWN, "key": "a", "value": "1"})),
        case("param without a run", post("/runs/log-parameter", {"key": "a", "value": "1"})),
        case("param by run_uuid", _RUN, post("/runs/log-parameter", {"run_uuid": "{run}", "key": "a", "value": "1"}),
             _SHOW),
        case("metric", _RUN, _metric(key="a", value=0.5, timestamp=10, step=1), _SHOW, _HISTORY),
        case("metric without a step", _RUN, _metric(key="a", value=0.5, timestamp=10), _SHOW),
        case("metric with a negative step", _RUN, _metric(key="a", value=1, timestamp=10, step=-3), _SHOW),
        case("metric, the last step counts", _RUN, _metric(key="a", value=1, timestamp=10, step=5),
             _metric(key="a", value=2, timestamp=11, step=4), _SHOW),
        case("metric, then the last time counts", _RUN, _metric(key="a", value=1, timestamp=11, step=5),
             _metric(key="a", value=2, timestamp=10, step=5), _SHOW),
        case("metric, then the highest value counts", _RUN, _metric(key="a", value=3, timestamp=11, step=5),
             _metric(key="a", value=2, timestamp=11, step=5), _SHOW, _HISTORY),
        case("metric said twice", _RUN, _metric(key="a", value=3, timestamp=11), _metric(key="a", value=3,
             timestamp=11),
             _SHOW, _HISTORY),
        case("metric NaN", _RUN, _metric(key="a", value="NaN", timestamp=11), _SHOW, _HISTORY),
        case("metric infinite", _RUN, _metric(key="a", value="Infinity", timestamp=11), _SHOW, superset=INFINITY),
        case("metric minus infinite", _RUN, _metric(key="a", value="-Infinity", timestamp=11), _SHOW,
             superset=INFINITY),
        case("metric as a text", _RUN, _metric(key="a", value="0.25", timestamp=11), _SHOW),
        case("metric as a word", _RUN, _metric(key="a", value="high", timestamp=11)),
        case("metric true", _RUN, _metric(key="a", value=True, timestamp=11), superset=HALF_PARSED),
        case("metric null", _RUN, _metric(key="a", value=None, timestamp=11)),
        case("metric without a value", _RUN, _metric(key="a", timestamp=11)),
        case("metric without a time", _RUN, _metric(key="a", value=1)),
        case("metric without a key", _RUN, _metric(value=1, timestamp=11)),
        case("metric with a time that is a text", _RUN, _metric(key="a", value=1, timestamp="11"), _SHOW),
        case("metric with a time that is a fraction", _RUN, _metric(key="a", value=1, timestamp=11.5),
             superset=HALF_PARSED),
        case("metric with a time of zero", _RUN, _metric(key="a", value=1, timestamp=0), _SHOW),
        case("metric with a negative time", _RUN, _metric(key="a", value=1, timestamp=-5)),
        case("metric with a step that is a word", _RUN, _metric(key="a", value=1, timestamp=5, step="x")),
        case("metric with a step that is NaN", _RUN, _metric(key="a", value=1, timestamp=5, step="NaN")),
        case("metric with a step past 64 bits", _RUN, _metric(key="a", value=1, timestamp=5, step=2**63),
             superset=HALF_PARSED),
        case("metric with a key of 250", _RUN, _metric(key="k" * 250, value=1, timestamp=5), _SHOW),
        case("metric with a key of 251", _RUN, _metric(key="k" * 251, value=1, timestamp=5)),
        case("metric with a bad key", _RUN, _metric(key="a?b", value=1, timestamp=5)),
        case("metric with a large value", _RUN, _metric(key="a", value=1e308, timestamp=5), _SHOW),
        case("metric with a tiny value", _RUN, _metric(key="a", value=5e-324, timestamp=5), _SHOW),
        case("metric of an unknown run", post("/runs/log-metric", {
            "run_id": _UNKNOWN, "key": "a", "value": 1, "timestamp": 1})),
        case("tag", _RUN, _tag("a", "1"), _tag("a", "2"), _SHOW),
        case("tag empty", _RUN, _tag("a", ""), _SHOW),
        case("tag of 8000", _RUN, _tag("a", "v" * 8000), _SHOW),
        case("tag of 8001", _RUN, _tag("a", "v" * 8001), _SHOW),
        case("tag with a number", _RUN, _tag("a", 1)),
        case("tag with a bad key", _RUN, _tag("a//b", "1")),
        case("tag without a key", _RUN, post("/runs/set-tag", {"run_id": "{run}", "value": "1"})),
        case("tag of an unknown run", post("/runs/set-tag", {"run_id": _UNKNOWN, "key": "a", "value": "1"})),
        case("tag deleted", _RUN, _tag("a", "1"), post("/runs/delete-tag", {"run_id": "{run}", "key": "a"}), _SHOW),
        case("tag deleted that is not there", _RUN, post("/runs/delete-tag", {"run_id": "{run}", "key": "a"})),
        case("tag deleted of an unknown run", post("/runs/delete-tag", {"run_id": _UNKNOWN, "key": "a"})),
        case("tag deleted without a key", _RUN, post("/runs/delete-tag", {"run_id": "{run}"})),
        case("batch", _RUN, _batch(metrics=_points(3), params=_pairs(2), tags=_pairs(2)), _SHOW),
        case("batch empty", _RUN, _batch(), _SHOW),
        case("batch of points of one key", _RUN, _batch(metrics=[
            {"key": "a", "value": n, "timestamp": n, "step": n % 3} for n in range(9)]), _SHOW, _HISTORY),
        case("batch of 1000 metrics", _RUN, _batch(metrics=_points(1000))),
        case("batch of 1001 metrics", _RUN, _batch(metrics=_points(1001)), _SHOW),
        case("batch of 100 params", _RUN, _batch(params=_pairs(100)), _SHOW),
        case("batch of 101 params", _RUN, _batch(params=_pairs(101)), _SHOW),
        case("batch of 101 tags", _RUN, _batch(tags=_pairs(101)), _SHOW),
        case("batch of 1001 of all", _RUN, _batch(metrics=_points(900), params=_pairs(50), tags=_pairs(51)), _SHOW),
        case("batch with a param twice", _RUN, _batch(params=[
            {"key": "a", "value": "1"}, {"key": "a", "value": "2"}]), _SHOW),
        case("batch with a param twice alike", _RUN, _batch(params=[
            {"key": "a", "value": "1"}, {"key": "a", "value": "1"}]), _SHOW),
        case("batch with a tag twice", _RUN, _batch(tags=[
            {"key": "a", "value": "1"}, {"key": "a", "value": "2"}]), _SHOW),
        case("batch that changes a param", _RUN, _param("a", "1"), _batch(params=[{"key": "a", "value": "2"}])),
        case("batch with a bad metric", _RUN, _batch(metrics=[{"key": "a", "value": "x", "timestamp": 1}]), _SHOW,
             superset=HALF_PARSED),
        case("batch with a bad key", _RUN, _batch(params=[{"key": "a//b", "value": "x"}]), _SHOW),
        case("batch with a metric without a time", _RUN, _batch(metrics=[{"key": "a", "value": 1}])),
        case("batch with a metric without a key", _RUN, _batch(metrics=[{"value": 1, "timestamp": 1}])),
        case("batch with a tag that renames", _RUN, _batch(tags=[{"key": "mlflow.runName", "value": "b"}]), _SHOW),
        case("batch that is no list", _RUN, _batch(metrics="a")),
        case("batch of an unknown run", post("/runs/log-batch", {"run_id": _UNKNOWN, "params": _pairs(1)})),
        case("batch without a run", post("/runs/log-batch", {"params": _pairs(1)})),
        case("model", _RUN, _model(_MODEL_JSON), _SHOW),
        case("model after model", _RUN, _model(_MODEL_JSON), _model(_MODEL_JSON), _SHOW),
        case("model that is no JSON", _RUN, _model("{"), _SHOW),
        case("model without flavors", _RUN, _model('{"artifact_path": "m"}'), _SHOW),
        case("model of nothing", _RUN, post("/runs/log-model", {"run_id": "{run}"})),
        case("model of an unknown run", post("/runs/log-model", {"run_id": _UNKNOWN, "model_json": _MODEL_JSON})),
        case("batch with NaN", _RUN, _batch(metrics=[{"key": "a", "value": "NaN", "timestamp": 1}]), _SHOW),
    ),
)  # fmt: skip
