"""Metric histories: single, paged, bulk, bulk-interval."""

from __future__ import annotations

from tests.compat.script import Call, Group, case, get, post
from tests.compat.supersets import HALF_PARSED

_BULK = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
_INTERVAL = "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval"
_UNKNOWN = "0" * 32


def _points(run: str, key: str, values: list[object]) -> Call:
    metrics = [{"key": key, "value": value, "timestamp": 100 + n, "step": n} for n, value in enumerate(values)]
    return post("/runs/log-batch", {"run_id": f"{{{run}}}", "metrics": metrics})


def _history(**query: object) -> Call:
    return get("/metrics/get-history", {"run_id": "{one}", "metric_key": "loss", **query})


def _bulk(**query: object) -> Call:
    return get(_BULK, {"run_id": ["{one}"], "metric_key": "loss", **query})


def _interval(**query: object) -> Call:
    return get(_INTERVAL, {"run_ids": ["{one}"], "metric_key": "loss", **query})


_RISING: list[object] = [float(n) for n in range(100)]

GROUP = Group(
    "history",
    (
        post("/runs/create", {"experiment_id": "0", "run_name": "one", "start_time": 5}, one="run.info.run_id"),
        post("/runs/create", {"experiment_id": "0", "run_name": "two", "start_time": 5}, two="run.info.run_id"),
        _points("one", "loss", _RISING),
        _points("two", "loss", [3.0, 1.0, 2.0]),
        _points("one", "odd", [1.0, "NaN", -2.0]),
        _points("one", "wave", [float((n * 37) % 41) for n in range(60)]),
        post("/runs/log-batch", {"run_id": "{two}", "metrics": [
            {"key": "tie", "value": value, "timestamp": time, "step": step}
            for value, time, step in [(2, 5, 1), (1, 5, 1), (3, 4, 1), (1, 5, 0), (1, 5, 1)]]}),
    ),
    (
        case("all points", _history()),
        case("ties", get("/metrics/get-history", {"run_id": "{two}", "metric_key": "tie"})),
        case("NaN", get("/metrics/get-history", {"run_id": "{one}", "metric_key": "odd"})),
        case("by run_uuid", get("/metrics/get-history", {"run_uuid": "{two}", "metric_key": "loss"})),
        case("an unknown key", _history(metric_key="none")),
        case("an unknown run", _history(run_id=_UNKNOWN)),
        case("no key", get("/metrics/get-history", {"run_id": "{one}"})),
        case("no run", get("/metrics/get-history", {"metric_key": "loss"})),
        case("a page of 10", _history(max_results=10)),
        case("a page of all", _history(max_results=100)),
        case("a page of more", _history(max_results=1000)),
        case("a page of nothing", _history(max_results=0)),
        case("a page of less", _history(max_results=-1)),
        case("a page of a word", _history(max_results="x"), superset=HALF_PARSED),
        case("two pages", get("/metrics/get-history", {"run_id": "{one}", "metric_key": "loss", "max_results": 60},
                              t="next_page_token"), _history(max_results=60, page_token="{t}")),
        case("a token that is none", _history(max_results=10, page_token="!")),
        case("bulk of one", _bulk()),
        case("bulk of one run twice", _bulk(run_id=["{two}", "{two}"])),
        case("bulk cut", _bulk(max_results=5)),
        case("bulk of an unknown run", _bulk(run_id=[_UNKNOWN])),
        case("bulk of a known and an unknown run", _bulk(run_id=[_UNKNOWN, "{two}"])),
        case("bulk of an unknown key", _bulk(metric_key="none")),
        case("bulk of nothing", get(_BULK, {"metric_key": "loss"})),
        case("bulk without a key", get(_BULK, {"run_id": "{one}"})),
        case("bulk of 101 runs", _bulk(run_id=[_UNKNOWN] * 101)),
        case("bulk of NaN", _bulk(metric_key="odd"), superset="NaN is a text there too; stock's answer is no JSON"),
        case("bulk with a word for a number", _bulk(max_results="x")),
        case("interval of all", _interval()),
        case("interval of two runs", _interval(run_ids=["{two}", "{one}"])),
        case("interval sampled", _interval(max_results=10)),
        case("interval sampled to one", _interval(max_results=1)),
        case("interval sampled to two", _interval(max_results=2)),
        case("interval sampled to three", _interval(max_results=3)),
        case("interval sampled unevenly", _interval(max_results=33)),
        case("interval sampled of a wave", _interval(metric_key="wave", max_results=8), superset=
             "minimum and maximum are kept among the sampled points; stock loses spikes"),
        case("interval of steps", _interval(start_step=10, end_step=20)),
        case("interval of steps, sampled", _interval(start_step=10, end_step=50, max_results=5)),
        case("interval of one step", _interval(start_step=10, end_step=10)),
        case("interval past the end", _interval(start_step=1000, end_step=2000)),
        case("interval with a start only", _interval(start_step=10)),
        case("interval with an end only", _interval(end_step=10)),
        case("interval backwards", _interval(start_step=10, end_step=5)),
        case("interval with a word", _interval(start_step="x", end_step=5)),
        case("interval of nothing", get(_INTERVAL, {"metric_key": "loss"})),
        case("interval without a key", get(_INTERVAL, {"run_ids": "{one}"})),
        case("interval of 101 runs", _interval(run_ids=[_UNKNOWN] * 101)),
        case("interval of 0 points", _interval(max_results=0)),
        case("interval of 2501 points", _interval(max_results=2501)),
        case("interval of an unknown run", _interval(run_ids=[_UNKNOWN])),
        case("interval of an unknown key", _interval(metric_key="none")),
        case("interval by the client's prefix", get("/metrics/get-history-bulk-interval", {
            "run_ids": ["{two}"], "metric_key": "loss"})),
    ),
)  # fmt: skip
