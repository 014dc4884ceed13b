"""The Redis log keeps the contract, and its own promises: real durability, refusals, limits of memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from mltrail_core.errors import Invalid, LogFull, OutcomeUnknown, Unavailable
from mltrail_core.ids import CONTROL, PARTITIONS, Partition
from mltrail_core.log.redis import RedisLog
from mltrail_core.log.redis_server import ServerState, state_of
from tests import servers
from tests.contracts.event_log import EventLogContract
from tests.contracts.log_writers import new_record

P0, P1 = Partition("00"), Partition("01")
FSYNCED = {"appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "no"}


@pytest.fixture
def log_url(redis_url: str) -> str:
    return redis_url


class TestContract(EventLogContract):
    pass


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with contextlib.closing(redis.Redis.from_url(redis_url)) as client:
        yield client


@pytest.fixture
def settings(client: redis.Redis) -> Iterator[Callable[[str, str], None]]:
    """Set a setting of the shared server until the end of the test."""
    before: dict[str, str] = {}

    def set_until_end(name: str, value: str) -> None:
        before.setdefault(name, str(client.config_get(name)[name]))
        client.config_set(name, value)

    yield set_until_end
    for name, value in before.items():
        client.config_set(name, value)


@pytest.fixture
def log(redis_url: str) -> Iterator[RedisLog]:
    log = RedisLog.open(redis_url)
    yield log
    log.close()


@pytest.mark.parametrize(
    ("settings_of_server", "durability"),
    [
        ({}, "fsync"),
        ({"appendfsync": "everysec"}, "memory"),
        ({"appendfsync": "no"}, "memory"),
        ({"appendonly": "no"}, "memory"),
        ({"no-appendfsync-on-rewrite": "yes"}, "memory"),
    ],
)
def test_durability_is_what_the_server_does(
    redis_url: str,
    settings: Callable[[str, str], None],
    settings_of_server: dict[str, str],
    durability: str,
) -> None:
    for name, value in settings_of_server.items():
        settings(name, value)
    log = RedisLog.open(redis_url)
    assert log.durability == durability
    log.close()


def test_durability_is_asked_again_of_a_server_that_was_restarted(tmp_path: Path) -> None:
    with servers.valkey(tmp_path) as server:
        log = RedisLog.open(server.url)
        levels = [log.durability]
        server.stop()
        server.appendfsync = "everysec"
        server.start()
        log.heads()
        assert [*levels, log.durability] == ["fsync", "memory"]
        log.close()


def test_a_changed_setting_is_known_to_the_next_append_after_a_second(
    log: RedisLog, settings: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings("appendfsync", "everysec")
    monkeypatch.setattr("mltrail_core.log.redis.STATE_MAX_AGE_S", 0.0)
    log.append([new_record(P0, "x")])
    assert log.durability == "memory"


def test_a_user_who_may_not_ask_is_told_memory(redis_url: str, client: redis.Redis) -> None:
    client.acl_setuser(
        "writer", enabled=True, passwords=["+secret"], keys=["mltrail:*"], commands=["+@all", "-config", "-info"]
    )
    try:
        url = redis_url.replace("redis://", "redis://writer:secret@")
        log = RedisLog.open(url)
        assert log.durability == "memory"
        assert [done.index for done in log.append([new_record(P0, "x")])] == [1]
        assert log.url == redis_url.replace("redis://", "redis://writer@")
        log.close()
        with pytest.raises(Unavailable, match="password"):
            RedisLog.open(url.replace("secret", "wrong"))
    finally:
        client.acl_deluser("writer")


def test_a_log_above_its_memory_mark_refuses_before_it_appends(
    log: RedisLog, client: redis.Redis, settings: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mltrail_core.log.redis.STATE_MAX_AGE_S", 0.0)
    log.append([new_record(P0, "fits")])
    settings("maxmemory", str(int(client.info("memory")["used_memory"]) + (4 << 20)))
    with pytest.raises(LogFull, match="raise maxmemory") as caught:
        log.append([new_record(P0, "x" * 1000), new_record(P1, "x" * (5 << 20))])
    assert caught.value.retry_after_s >= 1
    assert (log.heads()[P0], log.heads()[P1]) == (1, 0)


def test_out_of_memory_at_the_server_is_a_full_log_and_appends_nothing(
    log: RedisLog, client: redis.Redis, settings: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mltrail_core.log.redis.STATE_MAX_AGE_S", 3600.0)  # as if another had just filled it
    settings("maxmemory", str(int(client.info("memory")["used_memory"]) - 1000))
    with pytest.raises(LogFull, match=r"is full: .*maxmemory"):
        log.append([new_record(P0, "x"), new_record(P1, "y")])
    settings("maxmemory", "0")
    assert sum(log.heads().values()) == 0


def test_memory_that_runs_out_within_a_batch_leaves_the_outcome_unknown_and_indices_contiguous(
    log: RedisLog, client: redis.Redis, settings: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mltrail_core.log.redis.STATE_MAX_AGE_S", 3600.0)
    settings("maxmemory", str(int(client.info("memory")["used_memory"]) + (8 << 20)))
    records = [new_record(P0, bytes([n]) * (1 << 20)) for n in range(30)]
    with pytest.raises(OutcomeUnknown, match="of 30 parts"):
        log.append(records)
    settings("maxmemory", "0")
    log.append(records)
    indices = [each.index for each in log.read(P0, after=0, max_bytes=1 << 30)]
    assert indices == list(range(1, len(indices) + 1))
    assert 30 < len(indices) < 60


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_server_that_may_evict_is_refused(redis_url: str, settings: Callable[[str, str], None], policy: str) -> None:
    settings("maxmemory-policy", policy)
    RedisLog.open(redis_url).close()  # nothing is evicted without a limit
    settings("maxmemory", str(1 << 30))
    with pytest.raises(Invalid, match="set maxmemory-policy to noeviction"):
        RedisLog.open(redis_url)


def test_a_server_that_becomes_evicting_gets_no_more_appends(
    log: RedisLog, settings: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mltrail_core.log.redis.STATE_MAX_AGE_S", 0.0)
    settings("maxmemory", str(1 << 30))
    settings("maxmemory-policy", "allkeys-random")
    with pytest.raises(Unavailable, match="noeviction"):
        log.append([new_record(P0, "x")])
    assert log.heads()[P0] == 0


def test_heads_and_wait_transfer_no_records(log: RedisLog, client: redis.Redis) -> None:
    log.append([new_record(partition, b"x" * 100_000) for partition in PARTITIONS])
    sent_before = int(client.info("stats")["total_net_output_bytes"])
    for _ in range(5):
        assert log.heads() == dict.fromkeys(PARTITIONS, 1)
        assert log.wait({CONTROL: 1}, timeout_s=5)
    assert int(client.info("stats")["total_net_output_bytes"]) - sent_before < 100_000


def test_a_large_record_among_small_ones_does_not_hide_them(log: RedisLog) -> None:
    log.append([new_record(P0, b"L" * (7 << 20)), *(new_record(P0, b"s" * 100) for _ in range(3000))])
    assert [e.index for e in log.read(P0, after=1, max_records=2500)] == list(range(2, 2502))
    assert [e.index for e in log.read(P0, after=0, max_records=4000)] == list(range(1, 3002))


def test_a_failed_write_of_the_file_refuses_appends() -> None:
    failed = state_of({"aof_enabled": "1", "aof_last_write_status": "err"}, FSYNCED, None)
    assert failed.write_error == "aof_last_write_status is err"
    assert state_of({"aof_enabled": "1", "aof_last_write_status": "ok"}, FSYNCED, None).write_error == ""


def test_an_append_only_file_that_is_configured_but_not_written_is_memory() -> None:
    assert state_of({"aof_enabled": "1"}, FSYNCED, None).durability == "fsync"
    assert state_of({"aof_enabled": "0"}, FSYNCED, None).durability == "memory"
    assert state_of({}, {}, None).durability == "memory"


def test_a_server_that_is_too_old_is_refused(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "mltrail_core.log.redis_server.state_of", lambda info, config, identity: ServerState(version="6.2.14")
    )
    with pytest.raises(Invalid, match=r"Redis 6\.2\.14; the log needs 7"):
        RedisLog.open(redis_url)
