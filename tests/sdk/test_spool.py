"""What no log has acknowledged lies on the disk, and arrives in the end whatever dies meanwhile."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import threading
import time
from pathlib import Path

import pytest

import mltrail
from mltrail import _lifecycle
from mltrail._points import ENTRIES
from mltrail._settings import parse_destination
from mltrail._spool import SpoolFolder, spools_in
from mltrail._spool import bounds as bounds_module
from mltrail._spool import spool as spool_module
from mltrail._spool.delivery import DeadSpool
from mltrail._spool.file import About, Changes, SpoolFile
from mltrail._stream import Outgoing, Sized, Stream, Writer
from mltrail._transport import open_transport
from mltrail_core.errors import Conflict
from mltrail_core.events import TagSet
from mltrail_core.ids import new_run_id
from tests.sdk.faulty_server import FaultyServer
from tests.sdk.projected import ProjectedLog, wait_for
from tests.sdk.script import Script


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the spools of a test's processes are."""
    return tmp_path / "spool"


def sync(root: Path, uri: str) -> None:
    """Send what dead processes left, as `mltrail sync` does."""
    transport = open_transport(parse_destination(uri))
    try:
        for path in spools_in(root):
            spool = DeadSpool.claim(path)
            assert spool is not None
            while spool.send_some(transport):
                pass
            spool.close()
    finally:
        transport.close()


def _killed_after(script: Script, line: str) -> str:
    """Kill the script once it has printed `line`; return what it printed first."""
    process = script.start()
    assert process.stdout is not None
    first = process.stdout.readline().strip()
    said = first
    while said != line:
        assert said or process.poll() is None, process.communicate()[1]
        said = process.stdout.readline().strip()
    process.kill()
    process.communicate()
    return first


def test_a_killed_training_loses_nothing_older_than_the_flush_interval(
    faulty_server: FaultyServer, projected: ProjectedLog, tmp_path: Path, root: Path
) -> None:
    faulty_server.stop()
    script = Script(
        tmp_path,
        faulty_server.url,
        """
        run = mltrail.start_run(experiment="iris")
        print(run.id, flush=True)
        run.log_param("lr", 0.1)
        for step in range(1000):
            run.log_metric("loss", float(step), step)
        run.log_series("acc", range(50_000), range(50_000))
        time.sleep(1.0)  # many flush intervals
        print("killed here", flush=True)
        time.sleep(60)
        """,
    )
    run_id = _killed_after(script, "killed here")
    faulty_server.start()
    sync(root, faulty_server.url)
    assert projected.params(run_id) == {"lr": "0.1"}
    assert projected.values(run_id, "loss") == [float(step) for step in range(1000)]
    assert projected.values(run_id, "acc") == [float(step) for step in range(50_000)]
    assert projected.run(run_id)["status"] == "RUNNING"
    [row] = [r for r in projected.rows("producers") if r["run_id"] == run_id and r["partition"] != "control"]
    assert row["last_sequence"] is None  # nobody knows what it would still have said
    assert list(root.iterdir()) == []


def test_what_a_killed_training_had_resumed_stays_ended_when_its_spool_comes_after_the_end(
    faulty_server: FaultyServer, projected: ProjectedLog, tmp_path: Path, root: Path
) -> None:
    mltrail.init(faulty_server.url, spool=tmp_path / "elsewhere")
    with mltrail.start_run() as first:
        first.log_metric("loss", 1.0)
    faulty_server.stop()
    script = Script(
        tmp_path,
        faulty_server.url,
        f"""
        run = mltrail.start_run(run_id={first.id!r}, resume=True)
        run.log_metric("loss", 2.0, 1)
        assert not run.flush(timeout_s=0.5)
        print("killed here", flush=True)
        time.sleep(60)
        """,
    )
    _killed_after(script, "killed here")
    faulty_server.start()
    with mltrail.start_run(run_id=first.id, resume=True) as third:
        assert third.flush()
        assert projected.run(first.id)["status"] == "RUNNING"
        third.log_metric("loss", 3.0, 2)
    sync(root, faulty_server.url)
    assert projected.run(first.id)["status"] == "FINISHED"
    assert sorted(projected.values(first.id, "loss")) == [1.0, 2.0, 3.0]


def test_a_resumed_training_that_never_reached_its_server_ends_quietly(
    faulty_server: FaultyServer, projected: ProjectedLog, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faulty_server.stop()
    mltrail.init(faulty_server.url, exit_timeout_s=0.1)
    with mltrail.start_run(run_id="0" * 31 + "b", resume=True) as run:
        run.log_metric("loss", 1.0)
    _lifecycle._at_exit()
    assert "are lost" not in capsys.readouterr().err
    faulty_server.start()
    sync(root, faulty_server.url)
    assert projected.run(run.id)["status"] == "FINISHED"
    projected.assert_complete(run.id)


def test_with_durability_sync_a_killed_training_loses_nothing_that_a_call_returned_from(
    faulty_server: FaultyServer, projected: ProjectedLog, tmp_path: Path, root: Path
) -> None:
    faulty_server.stop()
    script = Script(
        tmp_path,
        faulty_server.url,
        f"""
        mltrail.init({faulty_server.url!r}, durability="sync")
        with open(sys.argv[0] + ".bin", "wb") as file:
            file.write(b"weights")
        run = mltrail.start_run()
        print(run.id, flush=True)
        for step in range(20):
            run.log_metric("loss", float(step), step)
        run.log_metrics({{"a": 1.0, "b": 2.0}})
        run.log_artifact(sys.argv[0] + ".bin")
        run.log_param("last", 1)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    run_id = script.run().stdout.strip()
    faulty_server.start()
    sync(root, faulty_server.url)
    assert projected.values(run_id, "loss") == [float(step) for step in range(20)]
    assert (projected.values(run_id, "a"), projected.values(run_id, "b")) == ([1.0], [2.0])
    assert projected.params(run_id) == {"last": "1"}
    assert projected.artifacts(run_id) == {"train.py.bin": hashlib.sha256(b"weights").hexdigest()}


def test_a_server_that_is_down_for_the_whole_training_gets_everything_by_sync(
    faulty_server: FaultyServer, projected: ProjectedLog, tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faulty_server.stop()
    file = tmp_path / "weights.bin"
    file.write_bytes(b"w" * 100_000)
    mltrail.init(faulty_server.url, exit_timeout_s=0.2)
    with mltrail.start_run(experiment="away") as run:
        for step in range(2000):
            run.log_metric("loss", float(step), step)
        run.log_artifact(file)
    mltrail._fluent.current_session().close(0.2)
    said = capsys.readouterr().err
    assert f"1 artifacts (0.1 MB) of run {run.id} could not be sent to {faulty_server.url} yet" in said
    assert f"mltrail sync {root}" in said
    faulty_server.start()
    sync(root, faulty_server.url)
    assert projected.values(run.id, "loss") == [float(step) for step in range(2000)]
    assert projected.run(run.id)["status"] == "FINISHED"
    assert set(projected.artifacts(run.id)) == {"weights.bin"}
    projected.assert_complete(run.id, producer_count=2)  # the artifact is told of by a producer of its own
    assert list(root.iterdir()) == []


def test_what_is_said_at_the_very_end_is_kept(faulty_server: FaultyServer, projected: ProjectedLog, root: Path) -> None:
    faulty_server.stop()
    mltrail.init(faulty_server.url, flush_interval_s=60.0, exit_timeout_s=0.0)
    run = mltrail.start_run()
    for step in range(40_000):
        run.log_metric("loss", float(step), step)
    mltrail._fluent.current_session().close(0.0)
    faulty_server.start()
    sync(root, faulty_server.url)
    assert projected.values(run.id, "loss") == [float(step) for step in range(40_000)]
    assert projected.run(run.id)["status"] == "FINISHED"
    projected.assert_complete(run.id)


def test_the_next_training_sends_what_a_dead_one_left(
    faulty_server: FaultyServer, projected: ProjectedLog, tmp_path: Path, root: Path
) -> None:
    faulty_server.stop()
    script = Script(
        tmp_path,
        faulty_server.url,
        f"""
        mltrail.init({faulty_server.url!r}, exit_timeout_s=0.1)
        with mltrail.start_run() as run:
            print(run.id)
            run.log_metric("loss", 1.0)
        """,
    )
    dead_id = script.run().stdout.strip()
    faulty_server.start()
    mltrail.init(faulty_server.url)
    with mltrail.start_run() as run:
        run.flush()
        wait_for(lambda: len(list(root.iterdir())) == 1)  # our own
    assert projected.values(dead_id, "loss") == [1.0]
    projected.assert_complete(dead_id)
    projected.assert_complete(run.id)


def test_an_offline_training_says_so_and_arrives_by_sync(
    folder: Path, projected: ProjectedLog, tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    mltrail.init("http://ann:secret@127.0.0.1:1", token="mlt_secret", offline=True)
    with mltrail.start_run(experiment="iris") as run:
        run.log_param("lr", 0.1)
        run.log_artifact(file)
        assert run.flush(5)
    mltrail._fluent.current_session().close(5)
    said = capsys.readouterr().err
    assert "offline, all is kept in" in said
    assert f"send it to http://127.0.0.1:1 with: mltrail sync {root}" in said
    [spool] = spools_in(root)
    assert b"secret" not in (spool / "spool.db").read_bytes()
    sync(root, str(folder))
    assert projected.params(run.id) == {"lr": "0.1"}
    assert projected.run(run.id)["status"] == "FINISHED"
    assert set(projected.artifacts(run.id)) == {"file"}
    projected.assert_complete(run.id, producer_count=2)


def test_what_finds_no_room_in_memory_is_read_back_in_order(
    faulty_server: FaultyServer, projected: ProjectedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty_server.stop()
    mltrail.init(faulty_server.url, flush_interval_s=0.001)
    session = mltrail._fluent.current_session()
    monkeypatch.setattr(session.outbox, "_max_bytes", 2000)
    monkeypatch.setattr(spool_module, "_READ_BYTES", 3000)
    with mltrail.start_run() as run:
        for step in range(200):
            run.log_metric("loss", float(step), step)
            session.settle()
        assert len(session.outbox._waiting) < 20  # all else is a range of ids
        assert session.outbox.kept().point_count == 200
        faulty_server.start()
    assert projected.values(run.id, "loss") == [float(step) for step in range(200)]
    projected.assert_complete(run.id)


def test_a_full_disk_under_the_spool_keeps_in_memory_then_drops_and_says_so(
    faulty_server: FaultyServer,
    projected: ProjectedLog,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spool_module, "_RETRY_S", 0.05)
    faulty_server.stop()
    mltrail.init(faulty_server.url, when_full="drop")
    session = mltrail._fluent.current_session()
    monkeypatch.setattr(session.outbox, "_max_bytes", 3000)
    with mltrail.start_run() as run:
        run.log_metric("loss", 0.0)
        session.settle()
        with monkeypatch.context() as disk:
            disk.setattr(bounds_module, "LOW_WATER_DISK_BYTES", 1 << 60)  # as if the disk had nothing left
            run.log_metric("loss", 1.0)
            wait_for(lambda: session.outbox.unkept().point_count == 1)
            assert "free some space" in caplog.text
            run.log_series("loss", [0] * 1000, [2.0] * 1000)
            wait_for(lambda: session.outbox.unkept().point_count == 1001)
            disk.setattr(session.buffer, "_max_entries", 100 * ENTRIES)
            session.buffer.mark = 100 * ENTRIES
            for step in range(150):
                run.log_metric("loss", 3.0, step)
            assert session.losses.counts() == {"points dropped, the buffer is full": 50}
        wait_for(lambda: session.outbox.kept().point_count == 101)
        assert "can be written again" in caplog.text
        faulty_server.start()
    assert projected.values(run.id, "loss") == [0.0, 1.0] + [2.0] * 1000 + [3.0] * 100
    projected.assert_complete(run.id)


def test_a_disk_that_takes_no_more_bytes_costs_nothing_while_the_server_is_there(
    faulty_server: FaultyServer, projected: ProjectedLog, tmp_path: Path, root: Path
) -> None:
    script = Script(
        tmp_path,
        faulty_server.url,
        """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))  # each write past it fails, as on a full disk
        with mltrail.start_run() as run:
            print(run.id)
            run.log_series("loss", range(50_000), range(50_000))
            run.log_metric("after", 1.0)
        """,
    )
    done = script.run()
    assert "can't be written, so what can't be sent is in memory only" in done.stderr
    run_id = done.stdout.strip()
    assert projected.values(run_id, "loss") == [float(step) for step in range(50_000)]
    assert projected.values(run_id, "after") == [1.0]
    projected.assert_complete(run_id)
    assert list(root.iterdir()) == []


def test_a_spool_that_is_larger_than_allowed_takes_no_more(
    faulty_server: FaultyServer, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(b"w" * 400_000)
    faulty_server.stop()
    mltrail.init(faulty_server.url, max_spool_bytes=300_000, exit_timeout_s=0.1)
    with mltrail.start_run() as run:
        run.log_artifact(file)
        run.log_series("loss", range(20_000), [0.5] * 20_000)
    assert mltrail._fluent.current_session().losses.counts() == {"artifacts that could not be copied": 1}
    assert "max_spool_bytes" in caplog.text
    faulty_server.start()  # so that what is in memory arrives


def test_a_spool_that_was_full_has_room_again_though_the_training_never_pauses(
    faulty_server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "_RETRY_S", 0.05)
    faulty_server.stop()
    mltrail.init(faulty_server.url, max_spool_bytes=200_000)
    session = mltrail._fluent.current_session()
    monkeypatch.setattr(session._packer, "tidy", lambda: None)  # as if each step of the packing thread found something
    with mltrail.start_run() as run:
        session.settle()  # the run's creation finds room
        run.log_series("loss", range(20_000), [0.5] * 20_000)
        wait_for(lambda: session.spool._is_troubled)
        kept = session.outbox.kept().record_count
        assert kept > 0
        faulty_server.start()
        wait_for(lambda: session.outbox.kept().record_count == 0)

        def says_and_has_room() -> bool:
            run.log_metric("loss", 1.0)
            return not session.spool._is_troubled

        wait_for(says_and_has_room)


def test_what_another_user_put_into_the_spool_is_not_sent(
    faulty_server: FaultyServer, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty_server.stop()
    mltrail.init(faulty_server.url, exit_timeout_s=0.1)
    with mltrail.start_run() as run:
        run.log_metric("loss", 1.0)
    mltrail._fluent.current_session().close(0.1)
    [path] = spools_in(root)
    user = os.geteuid()
    with monkeypatch.context() as somebody_else:
        somebody_else.setattr(os, "geteuid", lambda: user + 1)
        with pytest.raises(Conflict, match=f"belongs to user {user}"):
            DeadSpool.claim(path)
    spool = DeadSpool.claim(path)
    assert spool is not None
    spool.close()


def test_a_read_only_home_is_replaced_by_the_temporary_folder(
    faulty_server: FaultyServer, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "a file, so that no folder can be made in it"
    home.write_text("")
    monkeypatch.delenv("MLTRAIL_SPOOL")
    monkeypatch.setenv("XDG_STATE_HOME", str(home))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    mltrail.init(faulty_server.url)
    with mltrail.start_run():
        pass
    path = mltrail._fluent.current_session().spool.path
    assert path is not None
    assert path.is_relative_to(tmp_path / "tmp")
    assert f"is kept in {path.parent}" in caplog.text


def test_without_any_place_for_a_spool_the_training_goes_on_in_memory(
    faulty_server: FaultyServer,
    projected: ProjectedLog,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MLTRAIL_SPOOL", str(tmp_path / "file" / "spool"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    mltrail.init(faulty_server.url)
    with mltrail.start_run() as run:
        run.log_metric("loss", 1.0)
        run.log_artifact(tmp_path / "file")
    assert projected.values(run.id, "loss") == [1.0]
    assert caplog.text.count("there is no place for a spool, so") == 1
    assert mltrail._fluent.current_session().losses.counts() == {"artifacts that could not be copied": 1}
    with pytest.raises(mltrail.MltrailError, match="no place for a spool"):
        mltrail.init(faulty_server.url, offline=True)


def test_a_spool_is_left_alone_while_its_process_lives(faulty_server: FaultyServer, root: Path) -> None:
    mltrail.init(faulty_server.url, offline=True)
    [path] = spools_in(root)
    assert DeadSpool.claim(path) is None
    mltrail._fluent.current_session().close(1)
    assert spools_in(root) == []


def test_two_that_claim_one_spool_at_once_get_it_once(root: Path) -> None:
    SpoolFolder.create(root).release()
    [path] = root.iterdir()
    claimed: list[SpoolFolder] = []
    barrier = threading.Barrier(8)

    def claim() -> None:
        barrier.wait(10)
        folder = SpoolFolder.claim(path)
        if folder is not None:
            claimed.append(folder)

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [folder] = claimed
    folder.remove()
    assert SpoolFolder.claim(path) is None


def test_a_forked_child_has_a_spool_of_its_own(
    faulty_server: FaultyServer, projected: ProjectedLog, tmp_path: Path, root: Path
) -> None:
    faulty_server.stop()
    script = Script(
        tmp_path,
        faulty_server.url,
        f"""
        mltrail.init({faulty_server.url!r}, exit_timeout_s=0.1)
        with mltrail.start_run() as run:
            print(run.id, flush=True)
            for step in range(200):
                run.log_metric("parent", float(step), step)
                time.sleep(0.001)
            children = []
            for number in range(3):
                child = os.fork()
                if child == 0:
                    for step in range(100):
                        run.log_metric(f"child {{number}}", float(step), step)
                        time.sleep(0.001)
                    run.end()
                    os._exit(0)
                children.append(child)
                run.log_metric("parent", 200.0 + number)
            for child in children:
                assert os.waitpid(child, 0)[1] == 0
        """,
    )
    done = script.run()
    assert done.returncode == 0, done.stderr
    run_id = done.stdout.strip()
    assert len(spools_in(root)) == 4
    faulty_server.start()
    sync(root, faulty_server.url)
    assert projected.values(run_id, "parent") == [float(step) for step in range(203)]
    for number in range(3):
        assert projected.values(run_id, f"child {number}") == [float(step) for step in range(100)]
    projected.assert_complete(run_id, producer_count=4)


def test_what_a_server_refuses_is_set_aside_with_the_reason(
    faulty_server: FaultyServer, projected: ProjectedLog, root: Path
) -> None:
    mltrail.init(faulty_server.url)
    with mltrail.start_run() as run:
        assert run.flush()
        faulty_server.faults.append("400")
        run.log_metric("refused", 1.0)
        assert run.flush()
    mltrail._fluent.current_session().close(5)
    [path] = spools_in(root)
    spool = DeadSpool.claim(path)
    assert spool is not None
    [(run_id, reason)] = spool.refusals()
    assert run_id == run.id
    assert "as the test ordered" in reason
    spool.forget_refused()
    spool.close()
    assert spools_in(root) == []


def test_a_run_of_the_folder_leaves_no_spool_but_the_artifacts_of_a_killed_training(
    folder: Path, projected: ProjectedLog, tmp_path: Path, root: Path
) -> None:
    script = Script(
        tmp_path,
        str(folder),
        """
        from mltrail._transport.folder import FolderTransport
        FolderTransport.store = lambda *_: time.sleep(60)  # it is killed while it stores
        run = mltrail.start_run()
        print(run.id, flush=True)
        run.log_artifact(sys.argv[0])
        run.log_metric("loss", 1.0)
        time.sleep(0.5)
        print("killed here", flush=True)
        time.sleep(60)
        """,
    )
    run_id = _killed_after(script, "killed here")
    sync(root, str(folder))
    assert projected.values(run_id, "loss") == [1.0]
    assert projected.artifacts(run_id) == {"train.py": hashlib.sha256(script.path.read_bytes()).hexdigest()}
    with mltrail.start_run(run_id=run_id):
        pass
    assert list(root.iterdir()) == []


def _outgoing(text: str) -> Outgoing:
    stream = Stream(new_run_id(), Writer("ann", "host", 1, 0), owns_status=False)
    [only] = stream.close([Sized(TagSet(1, stream.run_id, "text", text), 100)], None)
    return only


class _BrokenAfterCommit:
    """A connection whose disk fails right after a commit has reached it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, arguments: tuple[int, ...] = ()) -> sqlite3.Cursor:
        cursor = self._connection.execute(statement, arguments)
        if statement == "COMMIT":
            raise sqlite3.OperationalError("disk I/O error")
        return cursor

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)


def test_a_commit_of_which_nobody_knows_the_outcome_makes_no_later_write_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = SpoolFile(tmp_path / "spool.db")
    file.begin(About("http://host", Writer("ann", "host", 1, 0), 0))
    first, second = _outgoing("first"), _outgoing("second")
    connection = file._connection
    assert connection is not None
    monkeypatch.setattr(file, "_connection", _BrokenAfterCommit(connection))
    with pytest.raises(sqlite3.OperationalError):
        file.write(Changes((first,)))
    assert file.write(Changes((second,))) == 2
    assert [one.record for _, one in file.read(1, 9, 1 << 20)] == [first.record, second.record]
    assert len(file.read(1, 9, 1 << 20, 1)) == 1
    file.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_the_spool_is_made_leaves_its_lock_to_the_parent(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    children: list[int] = []
    has_forked = threading.Event()
    rename = Path.rename

    def fork() -> None:
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        children.append(child)
        has_forked.set()

    forking = threading.Thread(target=fork)

    def rename_and_be_forked(path: Path, target: Path) -> Path:
        forking.start()
        has_forked.wait(0.3)  # it has its lock, and nobody knows of that yet
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", rename_and_be_forked)
    folder = SpoolFolder.create(root)
    monkeypatch.undo()
    forking.join()
    try:
        folder.release()  # as the kernel does when this process dies
        claimed: list[SpoolFolder] = []

        def is_claimed() -> bool:  # the child closes what it has inherited once it runs
            claimed.extend(filter(None, [SpoolFolder.claim(folder.path)]))
            return bool(claimed)

        wait_for(is_claimed)
        claimed[0].remove()
    finally:
        os.kill(children[0], signal.SIGKILL)
        os.waitpid(children[0], 0)
