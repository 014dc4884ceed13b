"""`logged-models/search`: filters, datasets, orders, pages."""

from __future__ import annotations

from tests.compat.script import Call, Case, Group, call, case, post


def _model(number: int, kind: str, **params: str) -> Call:
    return post("/logged-models", {
        "experiment_id": "{exp}", "name": f"model-{number}", "model_type": kind, "source_run_id": "{run}",
        "params": [{"key": key, "value": value} for key, value in params.items()],
        "tags": [{"key": "number", "value": str(number)}]}, **{f"m{number}": "model.info.model_id"})  # fmt: skip


def _metric(number: int, key: str, value: float, dataset: dict[str, str], time: int = 1) -> Call:
    return post("/runs/log-metric", {
        "run_id": "{run}", "key": key, "value": value, "timestamp": time, "model_id": f"{{m{number}}}",
        **dataset})  # fmt: skip


def _search(filter_string: str = "", superset: str = "", **more: object) -> Case:
    body = {"experiment_ids": ["{exp}"], "filter": filter_string, "order_by": [{"field_name": "name"}], **more}
    shown = ", ".join([filter_string, *(f"{name}={value}" for name, value in more.items())])
    return case(shown, post("/logged-models/search", body), superset=superset)


def _order(*terms: dict[str, object]) -> Case:
    return _search(order_by=[*terms, {"field_name": "name"}])


_IRIS = {"dataset_name": "iris", "dataset_digest": "d1"}
_WINE = {"dataset_name": "wine", "dataset_digest": "d2"}

GROUP = Group(
    "logged-models/search",
    (
        post("/experiments/create", {"name": "models {unique}"}, exp="experiment_id"),
        post("/runs/create", {"experiment_id": "{exp}", "run_name": "r", "start_time": 5}, run="run.info.run_id"),
        _model(1, "agent", lr="0.1"),
        _model(2, "tree", lr="0.2", depth="3"),
        _model(3, "tree"),
        _model(4, "agent"),
        _metric(1, "acc", 0.5, _IRIS),
        _metric(1, "acc", 0.9, _WINE, time=2),
        _metric(2, "acc", 0.7, _IRIS),
        _metric(2, "acc", 0.6, _IRIS, time=9),
        _metric(3, "loss", 2.0, {}),
        call("PATCH", "/logged-models/{m2}", {"model_id": "{m2}", "status": "LOGGED_MODEL_READY"}),
        call("DELETE", "/logged-models/{m4}"),
    ),
    (
        *map(_search, (
            "", "name = 'model-1'", "name != 'model-1'", "name LIKE 'model-%'", "name ILIKE 'MODEL-1'",
            "name IN ('model-1', 'model-3')", "name NOT IN ('model-1')", "attributes.name = 'model-2'",
            "model_type = 'tree'", "attributes.model_type = 'agent'", "source_run_id = '{run}'",
            "model_id = '{m1}'", "model_id IN ('{m1}', '{m2}')", "params.lr = '0.1'", "params.lr != '0.1'",
            "params.lr LIKE '0%'", "params.lr IN ('0.1', '0.3')", "params.`lr` = '0.1'", "tags.number = '2'",
            "tags.number != '2'", "metrics.acc > 0.65", "metrics.acc < 0.6", "metrics.acc >= 0.7",
            "metrics.acc != 0.5", "metrics.loss = 2", "metrics.acc > 0.1 AND params.lr = '0.2'",
            "metrics.acc > 0.1 and tags.number = '1'", "metrics.none > 0", "creation_timestamp > 0",
            "creation_time < 1000", "last_updated_timestamp >= 1", "attributes.creation_timestamp_ms > 5",
            "name = 'a' OR name = 'b'", "name", "name > 'a'", "metrics.acc LIKE 'a'", "metrics.acc > 'a'",
            "nobody.x = '1'", "nobody = '1'", "metric.acc > 0", "params.lr > 1", "name = 'model-1' AND",
            "metrics.acc IN (1)",
        )),
        _search(datasets=[_IRIS]),
        _search(datasets=[_WINE]),
        _search(datasets=[_IRIS, _WINE]),
        _search(datasets=[{"dataset_digest": "d1"}]),
        _search(datasets=[{"dataset_name": "none", "dataset_digest": "x"}]),
        _search("metrics.acc > 0.8", datasets=[_IRIS]),
        _search("metrics.acc > 0.8", datasets=[_WINE]),
        _search("params.lr = '0.1'", datasets=[_IRIS]),
        _order({"field_name": "name", "ascending": False}),
        _order({"field_name": "name", "ascending": True}),
        _order({"field_name": "model_type"}, {"field_name": "creation_timestamp", "ascending": False}),
        _order({"field_name": "creation_time"}),
        _order({"field_name": "last_updated_timestamp"}),
        _order({"field_name": "metrics.acc"}),
        _order({"field_name": "metrics.acc", "ascending": False}),
        _order({"field_name": "metrics.acc", **_WINE}),
        _order({"field_name": "metrics.acc", "ascending": False, **_IRIS}),
        _order({"field_name": "metrics.loss", "ascending": False}),
        _order({"field_name": "metrics.none"}),
        _order({"field_name": "params.lr"}),
        _order({"field_name": "nobody"}),
        _search(max_results=1),
        _search(max_results=-1,
        superset="a page holds at least one; stock answers an empty page and a token without end"),
        _search(max_results="x"),
        _search(page_token="!"),
        _search(experiment_ids=[]),
        _search(experiment_ids=["987654321"]),
        _search(experiment_ids=["x"]),
        _search(experiment_ids="0"),
        case("in pages",
             post("/logged-models/search", {"experiment_ids": ["{exp}"], "max_results": 2}, t="next_page_token"),
             post("/logged-models/search", {"experiment_ids": ["{exp}"], "max_results": 2, "page_token": "{t}"})),
        case("a token of another search",
             post("/logged-models/search", {"experiment_ids": ["{exp}"], "max_results": 2}, t="next_page_token"),
             post("/logged-models/search", {"experiment_ids": ["{exp}"], "filter": "name = 'x'",
                                            "page_token": "{t}"})),
    ),
)  # fmt: skip
