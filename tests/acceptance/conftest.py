"""Whole installations to try, on the servers that all tests of a process share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.acceptance.stack import Stack, StackOf, folder_stack, services_stack


@pytest.fixture(scope="session")
def a_stack(request: pytest.FixtureRequest) -> StackOf:
    """Return what runs a whole installation of a kind, "folder" or "services", in a folder that goes when it ends."""

    @contextlib.contextmanager
    def run(kind: str) -> Iterator[Stack]:
        with TemporaryDirectory(prefix="mltrail-acceptance-") as name, contextlib.ExitStack() as running:
            folder = Path(name)
            if kind == "folder":
                yield running.enter_context(folder_stack(folder))
            else:
                # Asked for only here: the folder needs none of these servers.
                postgres, s3 = request.getfixturevalue("postgres_server"), request.getfixturevalue("s3_server")
                yield running.enter_context(services_stack(folder, postgres, s3))

    return run
