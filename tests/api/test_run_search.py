"""`/api/v1/runs/search` over HTTP, on what MLflow's protocol wrote."""

from __future__ import annotations

import pytest

from mltrail_api.v1.run_search import FoundRuns
from tests.api.running import RunningApi


@pytest.fixture(scope="module")
def filled(api: RunningApi) -> tuple[str, str]:
    """The ids of two runs, in the experiments `near` and `far`."""
    run_ids = []
    for name, values in (("near", (3.0, 1.0, 2.0)), ("far", (9.0, 8.0))):
        run_id = api.create_run(api.create_experiment(name))
        metrics = [{"key": "loss", "value": value, "timestamp": 1, "step": step} for step, value in enumerate(values)]
        batch = {"run_id": run_id, "metrics": metrics, "params": [{"key": "lr", "value": name}]}
        api.post("/runs/log-batch", batch).raise_for_status()
        run_ids.append(run_id)
    return run_ids[0], run_ids[1]


def test_what_was_written_is_found_at_once(api: RunningApi, filled: tuple[str, str]) -> None:
    near, far = filled
    url = f"{api.url}/api/v1/runs/search"
    body = {"filter": "metrics.loss.min = 1 OR params.lr ~ '^fa'", "order_by": ["metrics.loss.max DESC"]}
    answer = api.client.post(url, json=body)
    assert answer.headers["X-Mltrail-Consistency"] == "current"
    found = FoundRuns.model_validate(answer.json(), extra="forbid")
    assert [run.run_id for run in found.runs] == [far, near]
    assert found.runs[1].metrics == {"loss": {"last": 2.0, "last_step": 2}}
    assert found.runs[1].experiment == "near"
    by_link = api.client.get(
        url, params={"experiments": ["near", "far"], "columns": ["metrics.loss.min", "user"], "max_results": 1}
    )
    (only,) = by_link.json()["runs"]
    least = {near: 1.0, far: 8.0}[only["run_id"]]
    expected = {"metrics": {"loss": {"min": least}}, "user": "ada", "is_deleted": False}
    assert only == {"run_id": only["run_id"], **expected}
    rest = api.client.get(
        url,
        params={"experiments": ["near", "far"], "columns": [], "page_token": by_link.json()["next_page_token"]},
    )
    assert len(rest.json()["runs"]) == 1
    assert rest.json()["next_page_token"] is None


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"filter": "metrics.loss >"}, 400, "filter, line 1, column 15: the string ends where a number"),
        ({"order_by": ["foo"]}, 400, "order_by, line 1, column 1: 'foo' is not one of"),
        ({"columns": ["foo"]}, 400, "columns, line 1, column 1: 'foo' is not one of"),
        ({"page_token": "x"}, 400, "page token 'x'"),
        ({"max_results": 0}, 400, "max_results"),
        ({"filtre": "x"}, 400, "filtre"),
        ({"view": "ACTIVE_ONLY"}, 400, "view"),
        ({"experiments": ["nowhere"]}, 404, "there is no experiment with the name or id 'nowhere'"),
    ],
)
def test_what_can_not_be_searched_for_is_refused(
    api: RunningApi, body: dict[str, object], status: int, message: str
) -> None:
    answer = api.client.post(f"{api.url}/api/v1/runs/search", json=body)
    assert answer.status_code == status
    assert message in answer.json()["message"]
