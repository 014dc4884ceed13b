"""Uploads when the log or the store fails: the client is told to try again, and nothing half done is shown."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from mltrail_core.log import EventLog
from tests.api.logs import FaultyLog
from tests.api.running import RunningApi, running_api

PROXY = "/api/2.0/mlflow-artifacts/artifacts"


def new_root(api: RunningApi) -> str:
    return f"{api.url}{PROXY}/0/{api.create_run()}/artifacts"


@pytest.mark.parametrize(("fault", "status"), [("full", 429), ("down", 503)])
def test_an_upload_that_the_log_refuses_is_not_shown_and_can_be_repeated(
    tmp_path: Path, fault: str, status: int
) -> None:
    logs: list[FaultyLog] = []

    def wrapped(log: EventLog) -> EventLog:
        logs.append(FaultyLog(log))
        return logs[0]

    with running_api(tmp_path, wrap_log=wrapped) as api:
        root = new_root(api)
        logs[0].faults = [fault]
        refused = httpx.put(f"{root}/f", content=b"content")
        assert (refused.status_code, "retry-after" in refused.headers) == (status, True)
        assert httpx.get(f"{root}/f").status_code == 404
        assert httpx.put(f"{root}/f", content=b"content").status_code == 200
        assert httpx.get(f"{root}/f").text == "content"


def test_a_store_that_fails_is_unavailable_and_recovers(tmp_path: Path) -> None:
    with running_api(tmp_path) as api:
        root = new_root(api)
        assert httpx.put(f"{root}/f", content=b"content").status_code == 200
        blobs, aside = tmp_path / "artifacts" / "blobs", tmp_path / "aside"
        blobs.rename(aside)
        blobs.write_text("where the folder was")
        refused = httpx.put(f"{root}/g", content=b"other")
        assert (refused.status_code, refused.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
        assert httpx.get(f"{root}/g").status_code == 404
        assert httpx.get(f"{root}/f").status_code == 503
        blobs.unlink()
        aside.rename(blobs)
        assert httpx.put(f"{root}/g", content=b"other").status_code == 200
        assert httpx.get(f"{root}/f").text == "content"
        assert not list((tmp_path / "artifacts" / "unfinished").iterdir())
