"""The SQLite log keeps the contract, and its own promises: many processes, SIGKILL, full and shared disks."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mltrail_core import forking
from mltrail_core.errors import Conflict, Invalid, LogFull, OutcomeUnknown, Unavailable
from mltrail_core.ids import Partition
from mltrail_core.log import LogIdentity
from mltrail_core.log.network import file_system_of, refuse_network_file_system
from mltrail_core.log.sqlite import SqliteLog
from tests.contracts.event_log import EventLogContract
from tests.contracts.log_writers import SPAWN, append_until_killed, fork, in_child, new_record, thread_doing

P0, P3 = Partition("00"), Partition("03")
MOUNTS = r"""
/dev/sda1 / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
filer:/export /home nfs4 rw,vers=4.2 0 0
/dev/sdb1 /home/ann/fast xfs rw 0 0
share /mnt/my\040share cifs rw 0 0
malformed
tmpfs /home tmpfs rw 0 0
filer:/export /home nfs4 rw,vers=4.2 0 0
"""


@pytest.fixture
def log_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'log'}"


class TestContract(EventLogContract):
    pass


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    log = SqliteLog.open(tmp_path / "log")
    yield log
    log.close()


def test_commits_are_fsynced(log: SqliteLog) -> None:
    assert log.durability == "fsync"
    with log._reading() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_writers_that_are_killed_leave_a_sound_log_with_all_they_confirmed(log: SqliteLog, tmp_path: Path) -> None:
    confirmed_path = tmp_path / "confirmed"
    random_moments = random.Random(7)
    for _ in range(4):
        writers = [SPAWN.Process(target=append_until_killed, args=(log.url, str(confirmed_path))) for _ in range(2)]
        for writer in writers:
            writer.start()
        before = log.heads()
        assert log.wait(before, timeout_s=60)
        # Not a wait for anything: the kill must fall at any moment of an append.
        time.sleep(random_moments.uniform(0.0, 0.15))
        for writer in writers:
            writer.kill()
            writer.join(60)
            writer.close()
    entries = log.read(P3, after=0, max_records=1_000_000, max_bytes=1 << 30)
    assert [each.index for each in entries] == list(range(1, len(entries) + 1))
    stored = {each.index: each.frozen.decode().rstrip("x") for each in entries}
    lines = [line.split(" ") for line in confirmed_path.read_text().splitlines()]
    assert len(lines) >= 4
    assert {int(index): content for index, content in lines}.items() <= stored.items()
    with log._reading() as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    [done] = log.append([new_record(P3, "after all that")])
    assert done.index == len(entries) + 1


def test_a_disk_below_its_mark_refuses_before_anything_is_appended(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append([new_record(P0, "fits")])
    monkeypatch.setattr("mltrail_core.log.disk_room.LOW_WATER_DISK_BYTES", 1 << 62)
    with pytest.raises(LogFull, match="free some space") as caught:
        log.append([new_record(P0, "x")])
    assert caught.value.retry_after_s >= 1
    assert log.heads()[P0] == 1
    monkeypatch.undo()
    assert [done.index for done in log.append([new_record(P0, "x")])] == [2]


def test_a_disk_that_fills_during_an_append_is_a_full_log_and_appends_nothing(log: SqliteLog) -> None:
    log.append([new_record(P0, "fits")])
    with log._reading() as connection:
        [pages] = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages + 10}")
        with pytest.raises(LogFull, match="full"):
            log.append([new_record(P0, "fits too"), new_record(P0, b"x" * (1 << 20))])
        connection.execute("PRAGMA max_page_count=1000000")
    assert [done.index for done in log.append([new_record(P0, b"x" * (1 << 20))])] == [2]


def test_a_folder_that_was_taken_away_is_unavailable(log: SqliteLog, tmp_path: Path) -> None:
    (tmp_path / "log").rename(tmp_path / "elsewhere")
    with pytest.raises(Unavailable, match="can't be used"):
        log.append([new_record(P0, "x")])
    (tmp_path / "elsewhere").rename(tmp_path / "log")
    assert [done.index for done in log.append([new_record(P0, "x")])] == [1]


def test_a_database_that_another_locks_is_unavailable_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mltrail_core.log.sqlite._BUSY_TIMEOUT_S", 0.1)
    log = SqliteLog.open(tmp_path / "log")
    other = sqlite3.connect(tmp_path / "log" / "log.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked"):
        log.append([new_record(P0, "x")])
    other.rollback()
    assert [done.index for done in log.append([new_record(P0, "x")])] == [1]
    other.close()
    log.close()


def test_two_that_append_in_turn_take_contiguous_indices_and_times_that_never_decrease(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = SqliteLog.open(Path(log.url.removeprefix("sqlite:///")))
    monkeypatch.setattr("time.time_ns", iter(range(9_000_000, 0, -1_000_000)).__next__)  # a clock that is set back
    try:
        appended = [
            done for each in (log, log, other, log, other, other) for done in each.append([new_record(P0, "x")])
        ]
        appended += log.append([new_record(P3, "y"), new_record(P0, "x")])
    finally:
        other.close()
    assert [done.index for done in appended if done.partition == P0] == [1, 2, 3, 4, 5, 6, 7]
    assert {done.appended_us for done in appended} == {9000}
    assert [entry.frozen for entry in log.read(P0, after=0)] == [b"x"] * 7


def test_an_append_that_fails_amid_others_is_said_to_be_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mltrail_core.log.sqlite._BUSY_TIMEOUT_S", 0.1)
    log = SqliteLog.open(tmp_path)
    log.append([new_record(P0, "x")])
    other = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked") as caught:
        log.append([new_record(P0, "x")])
    assert not isinstance(caught.value, OutcomeUnknown)
    other.rollback()
    other.close()
    log.append([new_record(P0, "x")])
    with log._reading() as connection:
        connection.set_progress_handler(lambda: 1, 1)  # SQLite stops somewhere in the statement
        with pytest.raises(OutcomeUnknown, match="did not confirm"):
            log.append([new_record(P0, "x")])
        connection.set_progress_handler(None, 0)
    assert [done.index for done in log.append([new_record(P0, "x")])] == [3]
    log.close()


def test_a_log_that_is_closed_lets_an_append_under_way_end(log: SqliteLog) -> None:
    with log._writers.turn():
        log.close()
    with pytest.raises(Unavailable, match="closed"):
        log.append([new_record(P0, "x")])
    assert not log._writers._opened


def test_a_child_forked_during_an_append_does_not_keep_the_writers_lock(log: SqliteLog) -> None:
    with log._writers.turn():
        lives = os.pipe()
        process_id = fork()
        if process_id == 0:
            os.close(lives[1])
            os.read(lives[0], 1)
            os._exit(0)
    os.close(lives[0])
    try:
        appended: list[int] = []
        thread = thread_doing(lambda: appended.extend(done.index for done in log.append([new_record(P0, "x")])))
        thread.join(20)
        assert appended == [1]
    finally:
        os.close(lives[1])
        os.waitpid(process_id, 0)


def test_children_forked_in_the_middle_of_appends_append_too(log: SqliteLog) -> None:
    stop = threading.Event()

    def append_until_stopped() -> None:
        while not stop.is_set():
            log.append([new_record(P0, b"x" * 20_000)])

    thread = thread_doing(append_until_stopped)
    try:
        for number in range(20):

            def append_one(content: str = f"child {number}") -> None:
                log.append([new_record(P3, content)])

            # In a child that thinks the write lock is taken, as the thread has it, SQLite waits for it in vain.
            assert in_child(append_one) == 0
    finally:
        stop.set()
        thread.join()
    assert [entry.frozen.decode() for entry in log.read(P3, after=0)] == [f"child {number}" for number in range(20)]


def test_what_a_forked_child_appends_survives_that_the_parent_closes_the_log(tmp_path: Path) -> None:
    log = SqliteLog.open(tmp_path / "log")
    log.append([new_record(P0, "parent")])
    (child_reads, parent_writes), (parent_reads, child_writes) = os.pipe(), os.pipe()
    process_id = fork()
    if process_id == 0:
        log.append([new_record(P0, "child")])
        os.write(child_writes, b"1")
        os.read(child_reads, 1)
        log.append([new_record(P0, "child, after the parent closed")])
        os._exit(0)
    os.read(parent_reads, 1)
    log.close()  # a connection that thinks it is the last removes the WAL
    os.write(parent_writes, b"1")
    assert os.waitstatus_to_exitcode(os.waitpid(process_id, 0)[1]) == 0
    for descriptor in (child_reads, parent_writes, parent_reads, child_writes):
        os.close(descriptor)
    again = SqliteLog.open(tmp_path / "log")
    contents = [entry.frozen.decode() for entry in again.read(P0, after=0)]
    again.close()
    assert contents == ["parent", "child", "child, after the parent closed"]


def test_a_child_forked_while_a_thread_will_not_leave_sqlite_says_so_instead_of_breaking_the_log(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mltrail_core.forking.LONGEST_WAIT_S", 0.05)
    is_inside, may_leave = threading.Event(), threading.Event()

    def stay() -> None:
        with log._writing():
            is_inside.set()
            may_leave.wait(20)

    def refused() -> None:
        with pytest.raises(Unavailable, match="by spawn"):
            log.append([new_record(P0, "child")])

    thread = thread_doing(stay)
    try:
        assert is_inside.wait(20)
        assert in_child(refused) == 0
    finally:
        may_leave.set()
        thread.join()
    assert [done.index for done in log.append([new_record(P0, "parent")])] == [1]


def test_connections_of_threads_that_ended_are_closed(log: SqliteLog) -> None:
    for _ in range(30):
        thread_doing(lambda: log.append([new_record(P0, "x")])).join()
    assert log.heads()[P0] == 30
    assert len(log._all) <= 3


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable, match="can't be used"):
        SqliteLog.open(tmp_path / "file")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.db").write_bytes(b"something else" * 1000)
    with pytest.raises(Unavailable, match=r"log\.db can't be opened"):
        SqliteLog.open(tmp_path)


def test_another_log_or_another_format_is_refused(tmp_path: Path) -> None:
    SqliteLog.open(tmp_path / "log").close()
    with pytest.raises(Conflict, match="another log"):
        SqliteLog.open(tmp_path / "log", identity=LogIdentity("0" * 32, 1, 16, 5))
    SqliteLog.open(tmp_path / "later", identity=LogIdentity("0" * 32, 1, 16, 5)).close()
    connection = sqlite3.connect(tmp_path / "later" / "log.db", isolation_level=None)
    connection.execute("UPDATE identity SET format_version = 9")
    connection.close()
    with pytest.raises(Conflict, match="format 9"):
        SqliteLog.open(tmp_path / "later")


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/data", "ext4"),
        ("/home/bob", "nfs4"),
        ("/home/ann/fast/run", "xfs"),
        ("/home/ann/faster", "nfs4"),
        ("/mnt/my share/x", "cifs"),
        ("relative", None),
    ],
)
def test_the_file_system_is_that_of_the_innermost_last_mount(folder: str, kind: str | None) -> None:
    assert file_system_of(Path(folder), MOUNTS) == kind


def test_a_network_file_system_is_refused_with_what_to_do_instead() -> None:
    with pytest.raises(Invalid, match=r"/home/bob is on a network file system \(nfs4\).*mltrail server"):
        refuse_network_file_system(Path("/home/bob"), MOUNTS)
    refuse_network_file_system(Path("/home/ann/fast"), MOUNTS)


def test_a_network_file_system_is_refused_before_anything_is_written_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mltrail_core.log.network.mounts", lambda: f"filer:/x {tmp_path} nfs rw 0 0\n")
    with pytest.raises(Invalid, match="network file system"):
        SqliteLog.open(tmp_path / "log")
    assert not list((tmp_path / "log").iterdir())


def test_sqlite_is_kept_out_until_the_last_of_several_forks_is_over() -> None:
    gate, is_inside = forking._Gate(), threading.Event()

    def enter() -> None:
        with gate.inside():
            is_inside.set()

    gate.before_fork()
    gate.before_fork()  # of another thread
    gate.after_in_parent()
    thread = threading.Thread(target=enter)
    thread.start()
    assert not is_inside.wait(0.05)
    gate.after_in_parent()
    thread.join(10.0)
    assert is_inside.is_set()
