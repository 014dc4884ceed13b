"""What every adapter of `EventLog` does; run by one test module for each adapter."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest

from mltrail_core.errors import Conflict, Unavailable
from mltrail_core.ids import CONTROL, PARTITIONS, Partition
from mltrail_core.log import EventLog, LogEntry, open_log
from mltrail_core.log.genesis import ensure_begun
from mltrail_core.record import FrozenRecord, decode_record
from tests.contracts.log_writers import (
    SPAWN,
    acknowledged,
    append_from_threads,
    append_one,
    in_child,
    in_other_processes,
    log_id_of,
    new_record,
    thread_doing,
)

P0, P1 = Partition("00"), Partition("01")


def entry(index: int, appended_us: int, content: bytes = b"copied", partition: Partition = P0) -> LogEntry:
    return LogEntry(partition, index, appended_us, FrozenRecord(content))


class EventLogContract:
    """Modules that run it give the fixture `log_url`, where there is no log yet."""

    @pytest.fixture
    def reopen(self, log_url: str) -> Iterator[Callable[[], EventLog]]:
        """Open the same log once more; all are closed at the end."""
        opened: list[EventLog] = []

        def open_again() -> EventLog:
            opened.append(open_log(log_url))
            return opened[-1]

        yield open_again
        for log in opened:
            log.close()

    @pytest.fixture
    def log(self, reopen: Callable[[], EventLog]) -> EventLog:
        return reopen()

    def test_an_empty_log_stands_at_0_everywhere(self, log: EventLog) -> None:
        assert log.heads() == dict.fromkeys(PARTITIONS, 0)
        assert log.read(CONTROL, after=0) == []
        assert log.append([]) == []

    def test_what_was_appended_is_read_at_its_index(self, log: EventLog) -> None:
        contents = [b"", b"\x00\xff\r\n", "čeština".encode(), b"z" * 300_000]
        before_us = time.time_ns() // 1000
        appended = log.append([new_record(P0, content) for content in contents])
        after_us = time.time_ns() // 1000
        assert [done.index for done in appended] == [1, 2, 3, 4]
        assert all(before_us <= done.appended_us <= after_us for done in appended)
        assert log.read(P0, after=0) == [
            LogEntry(P0, done.index, done.appended_us, FrozenRecord(content))
            for done, content in zip(appended, contents, strict=True)
        ]
        assert log.heads() == {**dict.fromkeys(PARTITIONS, 0), P0: 4}

    def test_answers_come_in_the_order_of_the_records(self, log: EventLog) -> None:
        partitions = [CONTROL, P0, CONTROL, P1, P0, CONTROL]
        appended = log.append([new_record(partition, str(n)) for n, partition in enumerate(partitions)])
        assert [(done.partition, done.index) for done in appended] == [
            (CONTROL, 1), (P0, 1), (CONTROL, 2), (P1, 1), (P0, 2), (CONTROL, 3),
        ]  # fmt: skip
        assert [each.frozen for each in log.read(CONTROL, after=0)] == [b"0", b"2", b"5"]

    def test_indices_are_contiguous_and_times_never_decrease_with_many_writers(
        self, log: EventLog, log_url: str
    ) -> None:
        confirmed = in_other_processes(append_from_threads, [(log_url, f"p{n}", 3, 25) for n in range(3)])
        assert len(confirmed) == 3 * 3 * 25 * 3
        heads = log.heads()
        for partition in PARTITIONS:
            entries = log.read(partition, after=0, max_records=10_000)
            assert [each.index for each in entries] == list(range(1, heads[partition] + 1))
            times = [each.appended_us for each in entries]
            assert times == sorted(times)
            stored = {(each.partition, each.index, each.appended_us, bytes(each.frozen)) for each in entries}
            assert stored == {each for each in confirmed if each[0] == partition}
        assert sum(heads.values()) == len(confirmed)

    def test_a_writer_keeps_its_order_within_a_partition(self, log: EventLog, log_url: str) -> None:
        append_from_threads(log_url, "w", threads=4, appends=20)
        entries = [each.frozen.decode().split("-") for p in PARTITIONS for each in log.read(p, after=0)]
        assert len(entries) == 4 * 20 * 3
        for partition in PARTITIONS[:4]:
            read = [each.frozen.decode().split("-") for each in log.read(partition, after=0)]
            for thread in range(4):
                numbers = [int(n) for _, of_thread, n, _ in read if int(of_thread) == thread]
                assert numbers == sorted(numbers)

    def test_read_stops_at_each_limit(self, log: EventLog) -> None:
        log.append([new_record(P0, bytes([n]) * 1000) for n in range(20)])
        assert [e.index for e in log.read(P0, after=0, max_records=7)] == [1, 2, 3, 4, 5, 6, 7]
        assert [e.index for e in log.read(P0, after=17, max_records=7)] == [18, 19, 20]
        assert [e.index for e in log.read(P0, after=0, max_bytes=5_500)] == [1, 2, 3, 4, 5]
        assert log.read(P0, after=20) == log.read(P0, after=2000) == []

    def test_read_gives_at_least_one_record_however_large(self, log: EventLog) -> None:
        log.append([new_record(P0, b"s"), new_record(P0, b"L" * (5 << 20)), new_record(P0, b"t")])
        assert [e.index for e in log.read(P0, after=1, max_bytes=10)] == [2]
        assert [e.index for e in log.read(P0, after=2, max_bytes=1)] == [3]

    def test_small_reads_in_a_row_give_everything_once(self, log: EventLog) -> None:
        sizes = [1, 200_000, 3, 90_000, 5_000, 1, 1, 400_000, 2, 2]
        log.append([new_record(P0, bytes([n]) * size) for n, size in enumerate(sizes)])
        read: list[LogEntry] = []
        while entries := log.read(P0, after=len(read), max_bytes=100_000):
            assert len(entries) == 1 or sum(len(each.frozen) for each in entries) <= 100_000
            read += entries
        assert [(each.index, len(each.frozen)) for each in read] == list(enumerate(sizes, start=1))

    def test_wait_returns_at_once_when_a_partition_is_ahead(self, log: EventLog) -> None:
        log.append([new_record(P1, "x")])
        began = time.monotonic()
        assert log.wait({}, timeout_s=20)
        assert log.wait({**log.heads(), P1: 0}, timeout_s=20)
        assert log.wait({}, timeout_s=0)
        assert time.monotonic() - began < 10

    def test_wait_times_out_when_nothing_comes(self, log: EventLog) -> None:
        log.append([new_record(P1, "x")])
        began = time.monotonic()
        assert not log.wait(log.heads(), timeout_s=0.2)
        assert 0.19 <= time.monotonic() - began < 10
        assert not log.wait(log.heads(), timeout_s=0)

    def test_wait_wakes_on_an_append_by_another_thread(self, log: EventLog) -> None:
        heads = log.heads()
        thread = thread_doing(lambda: log.append([new_record(CONTROL, "x")]))
        assert log.wait(heads, timeout_s=20)
        assert log.heads()[CONTROL] == 1
        thread.join()

    def test_wait_wakes_on_an_append_by_another_process(self, log: EventLog, log_url: str) -> None:
        heads = log.heads()
        # A spawned interpreter takes far longer to start than wait to begin, so the append finds it waiting.
        writer = SPAWN.Process(target=append_one, args=(log_url, "from afar"))
        writer.start()
        assert log.wait(heads, timeout_s=60)
        assert [each.frozen for each in log.read(Partition("05"), after=0)] == [b"from afar"]
        writer.join(60)
        assert writer.exitcode == 0
        writer.close()

    def test_identity_and_records_are_kept_over_reopen(self, log: EventLog, reopen: Callable[[], EventLog]) -> None:
        log.append([new_record(P0, "kept")])
        identity, entries = log.identity, log.read(P0, after=0)
        log.close()
        again = reopen()
        assert again.identity == identity
        assert again.read(P0, after=0) == entries
        assert [done.index for done in again.append([new_record(P0, "next")])] == [2]

    def test_openers_of_a_new_log_agree_whose_it_is(self, log_url: str, reopen: Callable[[], EventLog]) -> None:
        with ProcessPoolExecutor(4, mp_context=SPAWN) as pool:
            found = set(pool.map(log_id_of, [log_url] * 8))
        assert found == {reopen().identity.log_id}

    def test_a_log_that_two_begin_holds_a_first_record_that_both_made(
        self, log: EventLog, reopen: Callable[[], EventLog]
    ) -> None:
        ensure_begun(log)
        ensure_begun(reopen())
        [first] = log.read(CONTROL, after=0)
        assert decode_record(first.frozen).producer == "genesis"

    def test_imported_entries_keep_index_and_time(self, log: EventLog) -> None:
        later_us = time.time_ns() // 1000 + 3_600_000_000
        entries = [entry(1, 5), entry(1, 7, partition=P1), entry(2, 5), entry(3, later_us)]
        log.import_entries(entries)
        assert log.read(P0, after=0) == [entries[0], *entries[2:]]
        assert log.read(P1, after=0) == [entries[1]]
        [done] = log.append([new_record(P0, "after the copy")])
        assert done.index == 4
        assert done.appended_us >= later_us

    @pytest.mark.parametrize(
        "entries",
        [
            pytest.param([entry(4, 20)], id="gap"),
            pytest.param([entry(3, 20), entry(5, 20)], id="gap within"),
            pytest.param([entry(2, 20)], id="taken"),
            pytest.param([entry(3, 9)], id="time goes back"),
            pytest.param([entry(3, 20), entry(4, 19)], id="time goes back within"),
        ],
    )
    def test_import_refuses_what_does_not_follow_and_imports_nothing(
        self, log: EventLog, entries: list[LogEntry]
    ) -> None:
        log.import_entries([entry(1, 10), entry(2, 10)])
        with pytest.raises(Conflict, match="partition 00"):
            log.import_entries(entries)
        assert log.heads()[P0] == 2

    def test_a_published_word_is_seen_by_other_openers(self, log: EventLog, reopen: Callable[[], EventLog]) -> None:
        other = reopen()
        assert other.published("api") is None
        log.publish("api", "http://one")
        log.publish("api", "http://två")
        log.publish("else", "x")
        assert other.published("api") == "http://två"

    def test_a_closed_log_refuses_everything(self, log: EventLog) -> None:
        log.close()
        for use in (
            lambda: log.append([new_record(P0, "x")]),
            lambda: log.read(P0, after=0),
            log.heads,
            lambda: log.wait({}, timeout_s=1),
        ):
            with pytest.raises(Unavailable, match="closed"):
                use()
        log.close()

    def test_a_forked_child_and_its_parent_both_go_on(self, log: EventLog) -> None:
        confirmed = acknowledged(records := [new_record(P0, "before")], log.append(records))

        def work() -> None:
            assert [each.frozen for each in log.read(P0, after=0)] == [b"before"]
            log.append([new_record(P0, "of the child")])
            log.close()

        assert in_child(work) == 0
        confirmed += acknowledged(records := [new_record(P0, "of the parent")], log.append(records))
        read = log.read(P0, after=0)
        assert [each.frozen for each in read] == [b"before", b"of the child", b"of the parent"]
        assert {(each.partition, each.index, each.appended_us, bytes(each.frozen)) for each in read} >= set(confirmed)
