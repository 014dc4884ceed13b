"""One running mltrail for all tests of a module that do not disturb it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.running import RunningApi, running_api


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    """A running mltrail; tests make experiments and runs of their own in it."""
    with running_api(tmp_path_factory.mktemp("mltrail")) as running:
        yield running
