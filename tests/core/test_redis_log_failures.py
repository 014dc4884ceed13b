"""The Redis log over servers that are killed, silent, restarted, replaced or not ours."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from mltrail_core.errors import Conflict, Invalid, OutcomeUnknown, Unavailable
from mltrail_core.ids import PARTITIONS, Partition
from mltrail_core.log import EventLog
from mltrail_core.log.redis import RedisLog
from mltrail_core.log.redis_server import url_without_password
from tests import servers
from tests.contracts.log_writers import Acknowledged, acknowledged, new_record

P0, P1 = Partition("00"), Partition("01")


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with contextlib.closing(redis.Redis.from_url(redis_url)) as client:
        yield client


@pytest.fixture
def log(redis_url: str) -> Iterator[RedisLog]:
    log = RedisLog.open(redis_url)
    yield log
    log.close()


def test_every_acknowledged_append_survives_sigkill_of_the_server(tmp_path: Path) -> None:
    with servers.valkey(tmp_path, appendfsync="always") as server:
        log = RedisLog.open(server.url)
        confirmed: list[list[Acknowledged]] = [[] for _ in range(4)]
        failures: list[Unavailable] = []
        enough = threading.Semaphore(0)

        def append_until_it_fails(thread: int) -> None:
            n = 0
            while True:
                n += 1
                records = [new_record(PARTITIONS[(n + k) % 3], f"{thread}-{n}-{k}".encode() * 50) for k in range(4)]
                try:
                    confirmed[thread] += acknowledged(records, log.append(records))
                except Unavailable as error:
                    failures.append(error)
                    return
                enough.release()

        for _ in range(3):
            threads = [threading.Thread(target=append_until_it_fails, args=(n,)) for n in range(4)]
            for each in threads:
                each.start()
            for _ in range(100):
                assert enough.acquire(timeout=60)
            server.kill()
            for each in threads:
                each.join(60)
            server.start()
        assert len(failures) == 12
        heads = log.heads()  # the same object works again
        stored = [
            (each.partition, each.index, each.appended_us, bytes(each.frozen))
            for partition in PARTITIONS
            for each in log.read(partition, after=0, max_records=1_000_000, max_bytes=1 << 30)
        ]
        assert {each for of_thread in confirmed for each in of_thread} <= set(stored)
        assert len(stored) == sum(heads.values())
        log.close()


def test_a_server_that_is_down_appends_nothing_and_works_again_after(tmp_path: Path) -> None:
    with servers.valkey(tmp_path) as server:
        log = RedisLog.open(server.url)
        log.append([new_record(P0, "first")])
        server.kill()
        with pytest.raises(Unavailable, match="nothing was appended") as caught:
            log.append([new_record(P0, "refused")])
        assert not isinstance(caught.value, OutcomeUnknown)
        for use in (
            log.heads,
            lambda: log.read(P0, after=0),
            lambda: log.wait(dict.fromkeys(PARTITIONS, 9), timeout_s=5),
        ):
            with pytest.raises(Unavailable, match="can't be reached"):
                use()
        with pytest.raises(Unavailable, match="can't be reached"):
            RedisLog.open(server.url)
        server.start()
        assert [done.index for done in log.append([new_record(P0, "second")])] == [2]
        assert [each.frozen for each in log.read(P0, after=0)] == [b"first", b"second"]
        log.close()


def test_an_append_that_gets_no_answer_has_an_unknown_outcome(
    redis_url: str, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mltrail_core.log.redis_server.REPLY_TIMEOUT_S", 0.3)
    log = RedisLog.open(redis_url)
    client.client_pause(30_000, all=False)
    try:
        with pytest.raises(OutcomeUnknown, match="did not confirm"):
            log.append([new_record(P0, "x")])
    finally:
        client.client_unpause()
    log.append([new_record(P0, "x")])
    assert [each.frozen for each in log.read(P0, after=0)] in ([b"x"], [b"x", b"x"])
    log.close()


def test_a_server_that_lost_its_log_is_not_written(tmp_path: Path) -> None:
    with servers.valkey(tmp_path / "a") as server:
        log = RedisLog.open(server.url)
        log.append([new_record(P0, "first")])
        server.stop()
        with servers.valkey(tmp_path / "b", port=server.port):
            with pytest.raises(Unavailable, match="holds no log any more"):
                log.append([new_record(P0, "second")])
            with pytest.raises(Unavailable, match="holds no log any more"):
                log.heads()
        log.close()


def test_a_log_of_another_format_is_refused(redis_url: str, client: redis.Redis) -> None:
    log = RedisLog.open(redis_url)
    log.close()
    text = client.get("mltrail:identity")
    assert isinstance(text, bytes)
    client.set("mltrail:identity", text.replace(b'"partition_count": 16', b'"partition_count": 8'))
    with pytest.raises(Conflict, match="8 partitions"):
        RedisLog.open(redis_url)
    client.set("mltrail:identity", "not ours")
    with pytest.raises(Conflict, match="not written by this mltrail"):
        RedisLog.open(redis_url)


def test_a_script_cache_that_was_emptied_does_not_matter(log: RedisLog, client: redis.Redis) -> None:
    log.append([new_record(P0, "x")])
    client.script_flush()
    assert len(log.append([new_record(P0, str(n)) for n in range(5)])) == 5


def test_a_foreign_entry_in_a_stream_is_named(log: EventLog, client: redis.Redis) -> None:
    log.append([new_record(P0, "x")])
    client.xadd("mltrail:{00}:head", {"a": "b"}, id="0-7")
    with pytest.raises(Unavailable, match="not written by mltrail"):
        log.heads()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:secret@h:1/2", "redis://h:1/2"),
        ("rediss://me:secret@h:1/2?ssl_cert_reqs=none", "rediss://me@h:1/2"),
        ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
    ],
)
def test_the_url_shows_no_password(url: str, shown: str) -> None:
    assert url_without_password(url) == shown


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://h:1/0?decode_responses=true", "option 'decode_responses'"),
        ("redis://:secret@h:port/0", "expected redis://"),
    ],
)
def test_a_url_that_will_not_do_is_refused_without_showing_its_password(url: str, said: str) -> None:
    with pytest.raises(Invalid, match=said) as caught:
        RedisLog.open(url)
    assert "secret" not in str(caught.value)
