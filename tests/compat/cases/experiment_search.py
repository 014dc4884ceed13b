"""`experiments/search`: filters, orders, pages, view types."""

from __future__ import annotations

from tests.compat.script import Call, Case, Group, case, get, post
from tests.compat.supersets import DEFAULTS, HALF_PARSED


def _create(letter: str, **tags: str) -> Call:
    named = {"name": f"{letter} {{unique}}", "tags": [{"key": key, "value": value} for key, value in tags.items()]}
    return post("/experiments/create", named, **{letter.lower(): "experiment_id"})


def _search(filter_string: str, *order_by: str, superset: str = "", **more: object) -> Case:
    body = {"max_results": 50, "filter": filter_string, "order_by": list(order_by), **more}
    shown = ", ".join([filter_string, *order_by, *(f"{name}={value}" for name, value in more.items())])
    return case(shown or "all", post("/experiments/search", body), superset=superset)


_OWN = "tags.group = '{group}'"
_FILTERS = (
    "name = 'B {group}'",
    "name != 'B {group}' AND " + _OWN,
    "name LIKE '%{group}'",
    "name LIKE 'b {group}'",
    "name ILIKE 'b {group}'",
    "attribute.name = 'A {group}'",
    "attribute.name LIKE 'A%' AND " + _OWN,
    "`name` = 'A {group}'",
    'name = "A {group}"',
    _OWN,
    _OWN + " AND tags.color = 'red'",
    _OWN + " and tag.color != 'red'",
    _OWN + " AND tags.color LIKE 'r%'",
    _OWN + " AND tags.color ILIKE 'R%'",
    _OWN + " AND tags.`color` = 'red'",
    _OWN + " AND tags.color IS NULL",
    _OWN + " AND tags.color IS NOT NULL",
    _OWN + " AND creation_time > 0",
    _OWN + " AND creation_time < 1000",
    _OWN + " AND last_update_time >= 1000",
    _OWN + " AND attribute.creation_time != 7",
    "experiment_id = '{a}'",
    "experiment_id IN ('{a}', '{c}')",
    "experiment_id NOT IN ('{a}', '{c}') AND " + _OWN,
)
_REFUSED = (
    "name",
    "name =",
    "= 'a'",
    "name = a",
    "name > 'a'",
    "nobody = 'a'",
    "params.a = 'b'",
    "metrics.a > 1",
    "creation_time = 'a'",
    "creation_time LIKE '1%'",
    "name = 'a' OR name = 'b'",
    "name = 'a' AND AND name = 'b' )",
    "name IN ('a')",
    "tags.a > 1",
)
_ORDERS = (  # not by experiment_id: ours are random numbers
    "name", "name DESC", "name ASC", "creation_time DESC", "creation_time", "last_update_time DESC",
    "attribute.name DESC",
)  # fmt: skip
_REFUSED_ORDERS = ("tags.color", "nobody", "name UP", "name DESC DESC", "metrics.a", "")

GROUP = Group(
    "experiments/search",
    (
        _create("A", group="{unique}", color="red"),
        _create("B", group="{unique}", color="blue"),
        _create("C", group="{unique}"),
        _create("D", group="{unique}", color="Red"),
        post("/experiments/delete", {"experiment_id": "{d}"}),
    ),
    (
        *(_search(text) for text in (*_FILTERS, *_REFUSED)),
        *(_search(_OWN, order) for order in (*_ORDERS, *_REFUSED_ORDERS)),
        _search(_OWN, "name", view_type="ALL"),
        _search(_OWN, "name", view_type="DELETED_ONLY"),
        _search(_OWN, "name", view_type="ACTIVE_ONLY"),
        _search(_OWN, "name", view_type="NONE", superset=HALF_PARSED),
        _search(_OWN, "name", view_type=3),
        _search(_OWN, "name", max_results=0),
        _search(_OWN, "name", max_results=-1),
        _search(_OWN, "name", max_results=50_000),
        _search(_OWN, "name", max_results=50_001),
        _search(_OWN, "name", max_results="2"),
        _search(_OWN, "name", max_results="two"),
        _search(_OWN, "name", page_token="!"),
        case(
            "in pages",
            post("/experiments/search", {"filter": _OWN, "order_by": ["name"], "max_results": 2}, t="next_page_token"),
            post("/experiments/search", {"filter": _OWN, "order_by": ["name"], "max_results": 2, "page_token": "{t}"}),
        ),
        case("by GET", get("/experiments/search", {"filter": _OWN, "order_by": "name", "max_results": 1})),
        case("by GET, all", get("/experiments/search", {"filter": _OWN, "view_type": "ALL", "max_results": 9})),
        case("without max_results", post("/experiments/search", {"filter": _OWN}), superset=DEFAULTS),
    ),
)
