"""A folder that the SDK wrote, made once for each module that only reads it."""

from __future__ import annotations

import pytest

from tests.cli.trained import TrainedFolder, trained_folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedFolder:
    """A data folder with two runs in the experiment `vision`."""
    return trained_folder(tmp_path_factory.mktemp("trained"))
