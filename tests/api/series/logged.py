"""Puts points into a running API's log in large blocks, and asks for them."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt

from mltrail_core.clock import now_us
from mltrail_core.ids import partition_of
from mltrail_core.metric_block import MetricBlock
from mltrail_core.record import Actor
from tests.api.running import RunningApi

BLOCK_POINTS = 50_000
TIME_US = 1_700_000_000_000_000


def log_points(
    api: RunningApi,
    run_id: str,
    key: str,
    steps: npt.ArrayLike,
    values: npt.ArrayLike,
    times_us: npt.ArrayLike | None = None,
) -> None:
    """Append points to the log, at a second a step unless times are given; readers that wait see them."""
    all_steps, all_values = np.asarray(steps, dtype=np.int64), np.asarray(values, dtype=np.float64)
    times = TIME_US + all_steps * 1_000_000 if times_us is None else np.asarray(times_us, dtype=np.int64)

    async def append() -> None:
        for start in range(0, len(all_steps), BLOCK_POINTS):
            cut = slice(start, start + BLOCK_POINTS)
            zeros = np.zeros(len(all_steps[cut]), dtype=np.uint32)
            block = MetricBlock((key,), zeros, all_steps[cut], times[cut], all_values[cut])
            await api.services.appender.append(partition_of(run_id), [block.to_event(run_id, now_us())], Actor("ada"))

    asyncio.run(append())


def ask(api: RunningApi, path: str, **params: Any) -> httpx.Response:
    """Return the answer to a GET below `/api/v1`."""
    return api.client.get(f"{api.url}/api/v1{path}", params=params)


def found(api: RunningApi, path: str, **params: Any) -> dict[str, Any]:
    """Return the JSON that a GET below `/api/v1` finds."""
    answer = ask(api, path, **params)
    assert answer.status_code == 200, answer.text
    answered: dict[str, Any] = answer.json()
    return answered


def refused(answer: httpx.Response) -> tuple[int, str]:
    """Return status and message of an answer that is an error."""
    assert answer.status_code >= 400, answer.text[:500]
    return answer.status_code, str(answer.json()["message"])
