"""The servers that tests stand on come up, end when asked, and keep through SIGKILL what they made durable."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import boto3
import psycopg
import pytest
import redis

from tests import servers


def _accepts_connections(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_valkey_keeps_what_it_acknowledged_through_sigkill(tmp_path: Path) -> None:
    with servers.valkey(tmp_path) as server:
        with contextlib.closing(redis.Redis.from_url(server.url)) as client:
            client.xadd("log", {"r": b"record"})
        first_pid = server.pid
        server.kill()
        assert not _accepts_connections(server.port)
        server.start()
        assert server.pid != first_pid
        with contextlib.closing(redis.Redis.from_url(server.url)) as client:
            assert client.xlen("log") == 1
            assert client.config_get("appendfsync") == {"appendfsync": "always"}
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert not _accepts_connections(server.port)


def test_valkey_takes_its_memory_limit(tmp_path: Path) -> None:
    with (
        servers.valkey(tmp_path, maxmemory="8mb") as server,
        contextlib.closing(redis.Redis.from_url(server.url)) as client,
    ):
        assert client.config_get("maxmemory") == {"maxmemory": str(8 * 1024 * 1024)}


@pytest.mark.thorough
def test_postgres_keeps_what_it_committed_through_sigkill() -> None:
    with servers.postgres(fsync=True) as server:
        url = server.create_database("kept").replace("postgresql+psycopg", "postgresql")
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE t AS SELECT 1 AS one")
        server.kill()
        assert not _accepts_connections(server.port)
        server.start()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT one FROM t").fetchall() == [(1,)]
    assert not _accepts_connections(server.port)


def test_every_test_has_an_empty_database_of_its_own(postgres_url: str) -> None:
    with psycopg.connect(postgres_url.replace("postgresql+psycopg", "postgresql")) as connection:
        assert connection.execute("SELECT count(*) FROM mltrail_g1.runs").fetchall() == [(0,)]
        connection.execute("CREATE TABLE public.left_behind (x int)")  # which would fail in one that another test had


def test_redis_is_empty_at_the_start_of_a_test(redis_url: str) -> None:
    with contextlib.closing(redis.Redis.from_url(redis_url)) as client:
        assert client.dbsize() == 0


def test_s3_stores_an_object_over_http_and_restarts_empty(s3_bucket_url: str) -> None:
    bucket = s3_bucket_url.removeprefix("s3://")
    with contextlib.closing(boto3.client("s3")) as client:
        client.put_object(Bucket=bucket, Key="k", Body=b"bytes")
        assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"bytes"


@pytest.mark.thorough
def test_s3_can_be_killed_and_started_again() -> None:
    with servers.s3() as server:
        server.create_bucket("before")
        server.kill()
        assert not _accepts_connections(server.port)
        server.start()
        server.create_bucket("before")


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(servers.ServerFailed, match=r"(?s)ended with status 1.*argument"),
        servers.valkey(tmp_path, maxmemory="nonsense"),
    ):
        pass


def test_servers_work_without_pytest(tmp_path: Path) -> None:
    script = "from tests import servers\nwith servers.valkey() as v:\n    print(v.url)"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
        timeout=60,
    )
    assert (done.returncode, done.stdout[:18]) == (0, "redis://127.0.0.1:"), done.stderr
