"""What clients are told while the projector is behind: training goes on, and nothing is called absent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.running import RunningApi, running_api


@pytest.fixture
def late(tmp_path: Path) -> Iterator[RunningApi]:
    with running_api(tmp_path) as api:
        api.get("/experiments/get", experiment_id="0")  # waits until the default experiment is projected
        api.stop_projector()
        yield api


def test_training_goes_on_in_what_this_worker_began(late: RunningApi) -> None:
    experiment_id = late.create_experiment("late")
    run_id = late.create_run(experiment_id)
    metric = {"run_id": run_id, "key": "loss", "value": 0.5, "timestamp": 1, "step": 1}
    assert late.post("/runs/log-metric", metric).status_code == 200
    late.start_projector()
    run = late.get("/runs/get", run_id=run_id).json()["run"]
    assert run["info"]["experiment_id"] == experiment_id
    assert run["data"]["metrics"][0]["value"] == 0.5


def test_what_may_be_in_the_log_is_not_called_absent(late: RunningApi) -> None:
    late.create_experiment("late")
    for response in (
        late.get("/experiments/get", experiment_id="123"),
        late.get("/experiments/get-by-name", experiment_name="nobody"),
        late.post("/runs/create", {"experiment_id": "123"}),
    ):
        assert response.status_code == 503
        assert float(response.headers["Retry-After"]) > 0
        assert "not projected yet" in response.json()["message"]
    late.start_projector()
    assert late.get("/experiments/get", experiment_id="123").status_code == 404
