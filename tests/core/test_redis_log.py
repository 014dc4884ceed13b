"""The Redis log keeps the contract, and its own promises: real durability, refusals, restarts and lost connections."""

from __future__ import annotations

import pytest

from tests.contracts.event_log import EventLogContract


@pytest.fixture
def log_url(redis_url: str) -> str:
    return redis_url


class TestContract(EventLogContract):
    pass
