"""Marks of who is alive, beside a log in a folder and in Redis."""

from __future__ import annotations

from pathlib import Path

import pytest

from mltrail_core.errors import Invalid, Unavailable
from mltrail_core.liveness import open_liveness
from tests import servers
from tests.contracts.liveness import RUN, LivenessContract


class TestInAFolder(LivenessContract):
    @pytest.fixture
    def log_url(self, tmp_path: Path) -> str:
        return str(tmp_path / "log")


class TestInRedis(LivenessContract):
    @pytest.fixture
    def log_url(self, redis_url: str) -> str:
        return redis_url


def test_a_folder_that_can_not_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file where a folder has to be")
    with pytest.raises(Unavailable, match="liveness"):
        open_liveness(f"sqlite:///{tmp_path}/log").mark([RUN])


def test_a_redis_that_is_away_is_unavailable_and_no_password_is_said() -> None:
    liveness = open_liveness(f"redis://ann:secret@127.0.0.1:{servers.free_port()}/0")
    with pytest.raises(Unavailable, match="ann@127") as raised:
        liveness.mark([RUN])
    assert "secret" not in str(raised.value)
    liveness.close()


def test_a_url_of_another_kind_is_refused() -> None:
    with pytest.raises(Invalid, match="expected redis://"):
        open_liveness("ftp://host/log")
