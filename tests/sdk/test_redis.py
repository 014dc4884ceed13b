"""Into Redis streams directly: a real Valkey, also while it is killed and comes back."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mltrail
from tests import servers
from tests.sdk.projected import ProjectedLog, wait_for
from tests.sdk.real_server import real_server


@pytest.fixture
def projected_redis(redis_url: str, tmp_path: Path) -> Iterator[ProjectedLog]:
    """What a projector makes of the Redis log."""
    with ProjectedLog(redis_url, tmp_path / "read") as projected:
        yield projected


def test_a_run_goes_straight_into_the_log(redis_url: str, projected_redis: ProjectedLog) -> None:
    mltrail.init(redis_url)
    with mltrail.start_run(experiment="iris") as run:
        run.log_param("lr", 0.1)
        for step in range(1000):
            run.log_metric("loss", float(step), step)
    assert projected_redis.params(run.id) == {"lr": "0.1"}
    assert projected_redis.values(run.id, "loss") == [float(step) for step in range(1000)]
    assert projected_redis.run(run.id)["status"] == "FINISHED"
    projected_redis.assert_complete(run.id)


def test_what_is_first_sent_at_the_end_of_the_process_arrives(
    redis_url: str, projected_redis: ProjectedLog, tmp_path: Path
) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        f"import mltrail\nmltrail.init({redis_url!r})\nrun = mltrail.start_run()\n"
        "print(run.id)\nrun.log_metric('loss', 1.0)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=True)
    assert projected_redis.values(done.stdout.strip(), "loss") == [1.0]
    projected_redis.assert_complete(done.stdout.strip())


def test_a_killed_server_that_returns_gets_everything_once(
    redis_url: str, valkey_server: servers.ValkeyServer, projected_redis: ProjectedLog, caplog: pytest.LogCaptureFixture
) -> None:
    mltrail.init(redis_url, flush_interval_s=0.01)
    with mltrail.start_run() as run:
        for step in range(500):
            run.log_metric("loss", float(step), step)
        valkey_server.kill()
        try:
            for step in range(500, 1000):
                run.log_metric("loss", float(step), step)
            wait_for(lambda: "nothing can be sent" in caplog.text)
        finally:
            valkey_server.start()
    assert projected_redis.values(run.id, "loss") == [float(step) for step in range(1000)]
    projected_redis.assert_complete(run.id)


def test_artifacts_go_to_the_api_that_the_server_published(redis_url: str, tmp_path: Path) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(b"w" * 2_000_000)
    with real_server(redis_url, tmp_path / "data"), ProjectedLog(redis_url, tmp_path / "read") as projected:
        mltrail.init(redis_url)
        with mltrail.start_run() as run:
            run.log_artifact(file)
        assert projected.artifacts(run.id) == {"weights.bin": hashlib.sha256(file.read_bytes()).hexdigest()}
        projected.assert_complete(run.id)


def test_an_artifact_without_an_api_says_so_and_does_not_hold_up_the_run(
    redis_url: str, projected_redis: ProjectedLog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(b"w")
    mltrail.init(redis_url, exit_timeout_s=0.5)
    with mltrail.start_run() as run:
        run.log_artifact(file)
        run.log_metric("loss", 1.0)
    assert "start one: mltrail server --log-url" in caplog.text
    assert projected_redis.values(run.id, "loss") == [1.0]
    assert projected_redis.run(run.id)["status"] == "FINISHED"
    projected_redis.assert_complete(run.id)
    contents = mltrail._fluent.current_session().spool.contents()
    assert contents is not None
    assert contents.upload_count == 1


def test_a_fork_sends_over_a_connection_of_its_own(
    redis_url: str, projected_redis: ProjectedLog, tmp_path: Path
) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        f"""
import os, mltrail
mltrail.init({redis_url!r})
with mltrail.start_run() as run:
    print(run.id, flush=True)
    run.flush()
    child = os.fork()
    for step in range(500):
        run.log_metric("parent" if child else "child", float(step), step)
        if step % 100 == 0:
            run.flush()
    if child == 0:
        run.end()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    run_id = done.stdout.strip()
    assert projected_redis.values(run_id, "parent") == [float(step) for step in range(500)]
    assert projected_redis.values(run_id, "child") == [float(step) for step in range(500)]
    projected_redis.assert_complete(run_id, producer_count=2)
