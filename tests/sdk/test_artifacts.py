"""Files are kept as they were at the call, and are there before the run says so."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

import mltrail
from mltrail._background import Background, Task
from mltrail._losses import Losses
from mltrail._stream import Stream, Writer
from mltrail_core.artifacts import open_artifact_store
from mltrail_core.errors import Unavailable
from mltrail_core.ids import RunId
from tests.sdk.faulty_server import FaultyServer
from tests.sdk.projected import ProjectedLog, wait_for


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:  # removed since it was found
        return b""


def test_a_file_is_kept_as_it_was_when_it_was_logged(folder: Path, projected: ProjectedLog, tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    mltrail.init(folder)
    with mltrail.start_run() as run:
        report.write_bytes(b"first")
        run.log_artifact(report)
        report.write_bytes(b"second")
        mltrail.log_artifact(report, "later/versions")
        report.unlink()
    assert projected.artifacts(run.id) == {
        "report.txt": _sha256(b"first"),
        "later/versions/report.txt": _sha256(b"second"),
    }
    store = open_artifact_store(str(folder / "artifacts"))
    with store.open(_sha256(b"first")) as stream:
        assert stream.read() == b"first"
    [media_type] = {row["media_type"] for row in projected.rows("artifacts")}
    assert media_type == "text/plain"
    projected.assert_complete(run.id)


def test_a_folder_is_kept_with_its_structure(folder: Path, projected: ProjectedLog, tmp_path: Path) -> None:
    source = tmp_path / "model"
    (source / "weights").mkdir(parents=True)
    (source / "conf.json").write_bytes(b"{}")
    (source / "weights" / "0.bin").write_bytes(bytes(3_000_000))
    (source / "broken").symlink_to("nowhere")
    mltrail.init(folder)
    with mltrail.start_run() as run:
        run.log_artifacts(source, "model")
    assert projected.artifacts(run.id) == {
        "model/conf.json": _sha256(b"{}"),
        "model/weights/0.bin": _sha256(bytes(3_000_000)),
    }


def test_a_path_that_is_not_there_or_leaves_the_run_raises_at_the_call(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    mltrail.init(folder)
    with mltrail.start_run() as run:
        with pytest.raises(ValueError, match="there is no file or folder"):
            run.log_artifact(tmp_path / "missing")
        with pytest.raises(ValueError, match="not a clean relative path"):
            run.log_artifact(file, "../elsewhere")
        with pytest.raises(ValueError, match="not a folder"):
            run.log_artifacts(file)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that no one can read whole")
def test_a_file_that_can_not_be_read_is_counted_and_the_training_goes_on(folder: Path) -> None:
    mltrail.init(folder)
    with mltrail.start_run() as run:
        run.log_artifact("/proc/self/mem")
    assert mltrail._fluent.current_session().losses.counts() == {"artifacts that could not be copied": 1}


def test_an_upload_is_repeated_until_the_server_has_it(
    faulty_server: FaultyServer, projected: ProjectedLog, tmp_path: Path
) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(bytes(range(256)) * 8192)
    mltrail.init(faulty_server.url)
    with mltrail.start_run() as run:
        assert run.flush()
        faulty_server.faults.extend(["503", "dropped before", "dropped after", "429", "500"])
        run.log_artifact(file)
    assert projected.artifacts(run.id) == {"weights.bin": _sha256(file.read_bytes())}
    assert not faulty_server.faults
    projected.assert_complete(run.id)


def test_copies_are_removed_once_they_are_stored(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copies = tmp_path / "copies"
    monkeypatch.setenv("MLTRAIL_SPOOL", str(copies))
    file = tmp_path / "file"
    file.write_bytes(b"x")
    mltrail.init(folder)
    with mltrail.start_run() as run:
        run.log_artifact(file)
    wait_for(lambda: not any(map(_content, copies.glob("*/files/*"))))  # but for empty files that are ready
    mltrail._fluent.current_session().close(5.0)
    assert list(copies.iterdir()) == []


def test_many_artifacts_knock_at_a_closed_door_as_seldom_as_one() -> None:
    background, attempts = Background(Losses(), lambda: None), list[str]()
    stream = Stream(RunId("0" * 32), Writer("ada", "host", 1, 0), owns_status=True)

    def failing(name: str) -> Callable[[], None]:
        def attempt() -> None:
            attempts.append(name)
            raise Unavailable("nobody is there", retry_after_s=60.0)

        return attempt

    for name in ("first.png", "second.png", "third.png"):
        background.add(Task(stream, name, failing(name), outlives_run=True))
    background.add(Task(stream, "git", lambda: attempts.append("git")))
    for _ in range(10):
        background.step()
    assert attempts == ["first.png", "git"]
