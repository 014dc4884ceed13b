"""`runs/search`: filters, orders, pages, view types."""

from __future__ import annotations

from tests.compat.script import Call, Case, Group, case, post
from tests.compat.supersets import HALF_PARSED


def _run(number: int, status: str = "", **data: object) -> tuple[Call, ...]:
    name = f"r{number}"
    created = post(
        "/runs/create",
        {"experiment_id": "{exp}", "run_name": f"Run {number}", "user_id": "ada", "start_time": 1000 + number},
        **{name: "run.info.run_id"},
    )
    logged = post("/runs/log-batch", {"run_id": f"{{{name}}}", **data})
    if not status:
        return created, logged
    return created, logged, post("/runs/update", {"run_id": f"{{{name}}}", "status": status, "end_time": 2000 + number})


def _metrics(**values: object) -> list[object]:
    return [{"key": key, "value": value, "timestamp": 1, "step": 1} for key, value in values.items()]


def _pairs(**values: str) -> list[object]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _search(filter_string: str, *order_by: str, superset: str = "", **more: object) -> Case:
    body = {"experiment_ids": ["{exp}"], "filter": filter_string, "order_by": list(order_by), **more}
    shown = ", ".join([filter_string, *order_by, *(f"{name}={value}" for name, value in more.items())])
    return case(shown or "all", post("/runs/search", body), superset=superset)


_FILTERS = (
    "metrics.acc > 0.5",
    "metrics.acc >= 0.5",
    "metrics.acc < 0.5",
    "metrics.acc <= 0.5",
    "metrics.acc = 0.5",
    "metrics.acc != 0.5",
    "metric.acc > 0.1 AND metrics.loss < 1",
    "metrics.`acc` > 0.1",
    'metrics."acc" > 0.1',
    "metrics.loss != 3",
    "metrics.acc > -1e10",
    "metrics.none > 0",
    "params.lr = '0.1'",
    "params.lr != '0.1'",
    "params.lr LIKE '0%'",
    "params.lr ILIKE '0%'",
    "param.kind = 'Tree'",
    "parameters.kind ILIKE 'tree'",
    "params.kind LIKE 'tree'",
    'params.kind = "Tree"',
    "params.lr IS NULL",
    "params.lr IS NOT NULL",
    "tags.team = 'vision'",
    "tags.team != 'vision'",
    "tag.team ILIKE 'V%'",
    "tags.team IS NULL",
    "tags.`team` = 'vision'",
    "tags.mlflow.runName = 'Run 1'",
    "tags.`mlflow.runName` LIKE 'Run %'",
    "run_name = 'Run 2'",
    "run_name LIKE 'Run %'",
    "attributes.run_name != 'Run 2'",
    "attributes.`run name` = 'Run 1'",
    "`Run name` = 'Run 1'",
    "status = 'FINISHED'",
    "attributes.status != 'FINISHED'",
    "attribute.status = 'RUNNING'",
    "status LIKE 'FIN%'",
    "user_id = 'ada'",
    "start_time > 1001",
    "start_time <= 1002 AND end_time > 0",
    "attributes.start_time = 1001",
    "attributes.created >= 1003",
    "end_time != 2001",
    "run_id = '{r1}'",
    "run_id != '{r1}'",
    "run_id IN ('{r1}', '{r2}')",
    "run_id NOT IN ('{r1}', '{r2}')",
    "attributes.run_id IN ('{r1}')",
    "artifact_uri LIKE '%artifacts'",
    "metrics.acc > 0.1 and params.lr = '0.1' AND tags.team = 'vision'",
)
_REFUSED = (
    "metrics.acc > 'a'",
    "metrics.acc LIKE '1'",
    "metrics.acc > ",
    "metrics.acc",
    "> 1",
    "params.lr > '0.1'",
    "params.lr = 0.1",
    "params.lr = abc",
    "nobody.x = 'a'",
    "attributes.nobody = 'a'",
    "status > 'FINISHED'",
    "start_time > 'a'",
    "start_time LIKE '1'",
    "metrics.acc > 0.5 OR metrics.acc < 0.1",
    "(metrics.acc > 0.5)",
    "metrics.acc > 0.5 AND",
    "AND metrics.acc > 0.5",
    "params.lr IN ('0.1')",
    "run_id IN ()",
    "run_id IN (1)",
    "run_id IN '{r1}'",
    "run_id IN ('{r1}'",
    "params.lr = 'unclosed",
    "datasets.nobody = 'a'",
    "metrics.acc IS NULL",
    "status IS NULL",
    ";",
    "params.lr = '0.1'; DROP TABLE runs",
    "metrics.acc BETWEEN 0 AND 1",
    "NOT metrics.acc > 0.5",
)
_ORDERS = (  # not by run_id: ids are random
    "metrics.acc", "metrics.acc DESC", "metrics.acc ASC", "metrics.`acc` DESC", "params.lr", "params.lr DESC",
    "tags.team", "tags.team DESC", "start_time", "start_time DESC", "end_time", "end_time DESC", "status",
    "attributes.start_time ASC", "run_name DESC", "metrics.none", "attributes.created DESC",
    "metrics.odd", "metrics.odd DESC",
)  # fmt: skip
_REFUSED_ORDERS = (
    "nobody", "metrics", "metrics.acc UP", "metrics.acc DESC ASC", "start_time,run_id", "datasets.name", "",
)  # fmt: skip

GROUP = Group(
    "runs/search",
    (
        post("/experiments/create", {"name": "search {unique}"}, exp="experiment_id"),
        post("/experiments/create", {"name": "empty {unique}"}, empty="experiment_id"),
        *_run(1, "FINISHED", metrics=_metrics(acc=0.5, loss=2.0, odd="NaN"), params=_pairs(lr="0.1", kind="Tree")),
        *_run(2, "FAILED", metrics=_metrics(acc=0.9, odd=1), params=_pairs(lr="0.01"), tags=_pairs(team="vision")),
        *_run(3, metrics=_metrics(acc=0.1, odd=-7), params=_pairs(lr="0.1"), tags=_pairs(team="text")),
        *_run(4, "FINISHED", metrics=_metrics(loss=0.5), params=_pairs(kind="tree"), tags=_pairs(team="Vision")),
        *_run(5, metrics=_metrics(acc=0.7), params=_pairs(lr="1"), tags=_pairs(team="vision")),
        post("/runs/delete", {"run_id": "{r5}"}),
    ),
    (
        *(_search(text) for text in (*_FILTERS, *_REFUSED)),
        *(_search("run_id != 'x'", order) for order in _ORDERS),
        *(_search("", order) for order in _REFUSED_ORDERS),
        _search("metrics.acc < 100", "status", "metrics.acc DESC"),
        _search("metrics.acc < 100", "params.lr", "start_time"),
        _search("run_name != 'Run 3'", run_view_type="ALL"),
        _search("", run_view_type="DELETED_ONLY"),
        _search("run_name != 'Run 3'", run_view_type="ACTIVE_ONLY"),
        _search("run_name != 'Run 3'", run_view_type=2),
        _search("", run_view_type="NONE", superset=HALF_PARSED),
        _search("", max_results=0),
        _search("", max_results=-1),
        _search("run_name != 'Run 3'", max_results=50_000),
        _search("", max_results=50_001),
        _search("run_name != 'Run 3'", max_results=1),
        _search("", max_results="many"),
        _search("", page_token="!"),
        _search("", experiment_ids=[]),
        _search("", experiment_ids=["{empty}"]),
        _search("run_name != 'Run 3'", experiment_ids=["{empty}", "{exp}"]),
        _search("", experiment_ids=["987654321"]),
        _search("", experiment_ids=["x"]),
        _search("", experiment_ids="0"),
        case(
            "in pages",
            post("/runs/search", {"experiment_ids": ["{exp}"], "filter": "run_name != 'Run 3'", "max_results": 2},
                 t="next_page_token"),
            post("/runs/search", {"experiment_ids": ["{exp}"], "filter": "run_name != 'Run 3'", "max_results": 2,
                                  "page_token": "{t}"}),
        ),
        case(
            "in pages by a metric",
            post("/runs/search", {"experiment_ids": ["{exp}"], "filter": "run_name != 'Run 3'", "max_results": 1,
                                  "order_by": ["metrics.acc DESC"]}, t="next_page_token"),
            post("/runs/search", {"experiment_ids": ["{exp}"], "filter": "run_name != 'Run 3'", "max_results": 2,
                                  "order_by": ["metrics.acc DESC"], "page_token": "{t}"}),
        ),
    ),
)  # fmt: skip
