"""Deliveries of webhooks beside a running API, to receivers on this machine."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mltrail_core.webhook_target import TargetRules
from mltrail_jobs.places import Places, Webhooks
from mltrail_jobs.webhook_retries import RetryPolicy
from mltrail_jobs.webhook_worker import run_deliveries
from tests.api.running import RunningApi

LOCAL = TargetRules(("http", "https"), allows_private=True)


@contextlib.contextmanager
def delivering(folder: Path) -> Iterator[None]:
    """Deliver what is due until the block ends."""
    places = Places(
        str(folder / "log"),
        str(folder / "read"),
        str(folder / "artifacts"),
        webhooks=Webhooks(folder / "webhook-secrets.json", LOCAL, RetryPolicy(max_attempts=4, first_pause_s=0.01)),
    )
    stop = threading.Event()
    thread = threading.Thread(target=run_deliveries, args=(places, stop), kwargs={"poll_s": 0.02})
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def deliveries(api: RunningApi, webhook_id: str, **params: str | int) -> list[dict[str, Any]]:
    answer = api.client.get(f"{api.url}/api/v1/webhooks/{webhook_id}/deliveries", params=params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["deliveries"]
    return found
