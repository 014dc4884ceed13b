"""A log moves between adapters with its identity, indices and times, in as many runs as it takes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mltrail_core.errors import Conflict, Unavailable
from mltrail_core.ids import CONTROL, PARTITIONS, Partition
from mltrail_core.log import EventLog, LogEntry, copy_log, open_log
from mltrail_core.log.genesis import ensure_begun
from mltrail_core.log.redis import RedisLog
from tests.contracts.log_writers import new_record, thread_doing

P0 = Partition("00")
Open = Callable[[str], EventLog]


@pytest.fixture
def opened() -> Iterator[Open]:
    logs: list[EventLog] = []

    def open_and_close_later(url: str) -> EventLog:
        logs.append(open_log(url))
        return logs[-1]

    yield open_and_close_later
    for log in logs:
        log.close()


@pytest.fixture
def source(tmp_path: Path, opened: Open) -> EventLog:
    """A log with records in every partition, one of them large."""
    log = opened(str(tmp_path / "source"))
    ensure_begun(log)
    for n in range(5):
        log.append([new_record(partition, f"{partition} {n}" * n) for partition in PARTITIONS])
    log.append([new_record(P0, b"L" * (3 << 20)), *(new_record(P0, str(n)) for n in range(2500))])
    return log


def everything(log: EventLog) -> list[LogEntry]:
    return [each for p in PARTITIONS for each in log.read(p, after=0, max_records=1_000_000, max_bytes=1 << 30)]


def test_a_log_goes_to_redis_and_back_unchanged(source: EventLog, redis_url: str, tmp_path: Path, opened: Open) -> None:
    steps: list[tuple[int, int]] = []
    there = copy_log(source, redis_url, progress=lambda done, of: steps.append((done, of)))
    total = sum(source.heads().values())
    assert (there.records_before, there.records_copied, there.heads) == (0, total, source.heads())
    assert there.size_bytes == sum(len(each.frozen) for each in everything(source))
    assert steps == sorted(steps)
    assert steps[-1] == (total, total)
    in_redis = opened(redis_url)
    assert isinstance(in_redis, RedisLog)
    back = copy_log(in_redis, str(tmp_path / "back"))
    assert back.records_copied == total
    copied = opened(str(tmp_path / "back"))
    assert copied.identity == in_redis.identity == source.identity
    assert everything(copied) == everything(in_redis) == everything(source)


def test_a_copy_that_was_cut_short_is_resumed(source: EventLog, redis_url: str, opened: Open) -> None:
    class StoppedMidway(Exception):
        pass

    def stop_midway(done: int, of: int) -> None:
        if done > of / 2:
            raise StoppedMidway

    with pytest.raises(StoppedMidway):
        copy_log(source, redis_url, progress=stop_midway)
    report = copy_log(source, redis_url)
    assert 0 < report.records_before < sum(source.heads().values())
    assert report.records_before + report.records_copied == sum(source.heads().values())
    assert everything(opened(redis_url)) == everything(source)
    assert copy_log(source, redis_url).records_copied == 0


def test_a_source_that_grows_is_copied_up_to_where_it_stood(source: EventLog, redis_url: str, opened: Open) -> None:
    began_at = source.heads()

    def grow(done: int, of: int) -> None:
        source.append([new_record(CONTROL, "new")])

    report = copy_log(source, redis_url, progress=grow)
    assert report.heads == began_at == opened(redis_url).heads()
    assert copy_log(source, redis_url).records_copied > 0
    assert opened(redis_url).heads() == source.heads()


def test_a_copy_does_not_go_into_another_log(source: EventLog, redis_url: str, opened: Open) -> None:
    other = opened(redis_url)
    other.append([new_record(P0, "theirs")])
    with pytest.raises(Conflict, match="another log"):
        copy_log(source, redis_url)
    assert [each.frozen for each in everything(other)] == [b"theirs"]


def test_a_copy_that_was_written_to_is_not_overwritten(source: EventLog, redis_url: str, opened: Open) -> None:
    copy_log(source, redis_url)
    copied = opened(redis_url)
    copied.append([new_record(P0, "only there")])
    before = everything(copied)
    with pytest.raises(Conflict, match="written to after"):
        copy_log(source, redis_url)
    source.append([new_record(P0, "only here")])
    with pytest.raises(Conflict, match="went their own ways"):
        copy_log(source, redis_url)
    assert everything(copied) == before


def test_two_copies_at_once_leave_one_log(source: EventLog, redis_url: str, opened: Open) -> None:
    def copy() -> None:
        # The one that comes second to a record may fail, and says so.
        with contextlib.suppress(Conflict, Unavailable):
            copy_log(source, redis_url)

    for thread in [thread_doing(copy), thread_doing(copy)]:
        thread.join()
    copy_log(source, redis_url)
    assert everything(opened(redis_url)) == everything(source)
