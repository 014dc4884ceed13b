"""What is remembered of runs that are written to: looked at again meanwhile, so that a delete elsewhere is seen."""

from __future__ import annotations

import asyncio

import pytest

from mltrail_api.appender import Appender
from mltrail_api.mlflow.runs import states
from mltrail_core.events import RunDeleted
from mltrail_core.ids import partition_of
from mltrail_core.record import Actor
from tests.api.running import RunningApi, wait_until


def test_a_stream_of_writes_hears_of_a_delete_by_another_worker(
    api: RunningApi, taken: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "REMEMBER_S", 3600.0)  # so that nothing but a look ahead can notice
    monkeypatch.setattr(states, "_LOOK_AHEAD_S", 0.0)
    run_id = api.create_run()
    assert api.get("/runs/get", run_id=run_id).status_code == 200  # it is projected
    other_worker = Appender(api.log)
    taken.clear()

    def log_metric() -> int:
        point = {"run_id": run_id, "key": "loss", "value": 1.0, "timestamp": 1, "step": len(taken)}
        return api.post("/runs/log-metric", point).status_code

    try:
        assert {log_metric() for _ in range(30)} == {200}
        assert all(taken)  # the looks cost no request its place in the lane
        asyncio.run(other_worker.append(partition_of(run_id), [RunDeleted(1, run_id)], Actor("ada")))
        wait_until(lambda: log_metric() == 400)
        assert not taken[-1]
    finally:
        other_worker.close()
