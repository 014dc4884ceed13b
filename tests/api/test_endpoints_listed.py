"""docs/mlflow-compatibility.md has a row for every endpoint of MLflow's server, and every row tells the truth.

`python -m tests.api.test_endpoints_listed` writes the rows anew and keeps what the notes say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import httpx
import pytest

from mltrail_api.mlflow.routes import whole_table
from tests.api.mlflow_routes import StockRoute, same_form, stock_routes
from tests.api.running import RunningApi

DOC = Path(__file__).parents[2] / "docs" / "mlflow-compatibility.md"
BEGIN, END = "<!-- endpoints -->\n", "<!-- end of endpoints -->\n"
SERVED, NOT_SERVED = "served", "not served"
_ROW = re.compile(r"^\| (\w+) \| `([^`]+)` \| ([^|]*) \| (served|not served) \|(?: ([^|]*))? ?\|$", re.MULTILINE)


def documented() -> dict[StockRoute, tuple[bool, str]]:
    """Return what the document says: whether an endpoint is served, and the notes on it."""
    rows = _ROW.findall(DOC.read_text())
    found = {
        StockRoute(path, method, tuple(filter(None, prefixes.strip().split(", ")))): (word == SERVED, notes.strip())
        for method, path, prefixes, word, notes in rows
    }
    assert len(found) == len(rows), "an endpoint stands in the document twice"
    return found


@pytest.fixture(scope="module")
def declared() -> list[StockRoute]:
    return stock_routes()


def test_every_endpoint_of_mlflow_has_a_row(declared: list[StockRoute]) -> None:
    assert len(declared) > 150
    assert set(documented()) == set(declared), "run: python -m tests.api.test_endpoints_listed"


def test_rows_marked_served_are_routed_and_the_others_are_not() -> None:
    wrong = [route for route, (is_served, _) in documented().items() if is_served != _is_routed(route)]
    assert not wrong, "run: python -m tests.api.test_endpoints_listed"


def test_what_is_not_served_says_so_at_once_and_the_rest_answers(api: RunningApi) -> None:
    wrong = []
    for route, (is_served, _) in documented().items():
        for path in route.full_paths("x"):
            response = api.client.request(route.method, f"{api.url}{path}", json={})
            if is_served == _is_no_endpoint(response) or response.elapsed.total_seconds() > 3:
                wrong.append((route.method, path, response.status_code, response.text[:200]))
    assert not wrong


def _is_no_endpoint(response: httpx.Response) -> bool:
    if response.status_code not in (404, 405) or response.headers["content-type"] != "application/json":
        return False
    return bool(response.json()["error_code"] == "ENDPOINT_NOT_FOUND")


def _is_routed(route: StockRoute) -> bool:
    table = {(method, same_form(path)) for method, path in whole_table()}
    table |= {("GET", "/health"), ("GET", "/version")}
    return all((route.method, path) in table for path in route.full_paths("{}"))


def _noun(route: StockRoute) -> str:
    parts = route.path.removeprefix("/").split("/")
    if parts[0] in ("2.0", "3.0"):
        return parts[2] if parts[1] == "mlflow" else parts[1]
    return "others"


def _sections(routes: list[StockRoute], notes: dict[StockRoute, str]) -> Iterator[str]:
    for noun, group in groupby(sorted(routes, key=lambda route: (_noun(route), route)), key=_noun):
        yield f"### {noun}\n\n| method | path | prefixes | mltrail | notes |\n| --- | --- | --- | --- | --- |\n"
        for route in group:
            word = SERVED if _is_routed(route) else NOT_SERVED
            columns = (route.method, f"`{route.path}`", ", ".join(route.prefixes), word, notes.get(route, ""))
            yield f"| {' | '.join(columns)} |\n"
        yield "\n"


def write_rows() -> None:
    """Write the rows of the document anew; notes stay."""
    notes = {route: said for route, (_, said) in documented().items()}
    before, rest = DOC.read_text().split(BEGIN)
    after = rest.split(END)[1]
    DOC.write_text(before + BEGIN + "\n" + "".join(_sections(stock_routes(), notes)) + END + after)


if __name__ == "__main__":
    write_rows()
