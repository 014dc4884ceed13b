"""What came past the server is hashed by jobs; nothing unhashed counts as verified, nothing acknowledged is removed."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from mltrail_core.clock import now_us
from mltrail_core.errors import Unavailable
from mltrail_core.events import ArtifactUploadAbandoned
from mltrail_core.ids import partition_of
from mltrail_core.log import open_log
from mltrail_core.readmodel.store import open_read_model
from mltrail_core.readmodel.tables import artifact_uploads, rejections
from mltrail_jobs.hashing import find_unhashed_uploads, hash_upload
from mltrail_jobs.journal import Journal
from mltrail_jobs.uploads import ABANDONED_AFTER_S, KEPT_AFTER_S, note_uploads, sweep_unfinished_uploads
from mltrail_jobs.verification import Interrupted, verify_artifacts
from mltrail_jobs.worker import run_jobs
from mltrail_projector.digest import digest_read_model
from mltrail_projector.loop import catch_up
from tests.api.past_server import MIB, Begun, PastServer, random_bytes, sha256_of
from tests.api.running import wait_until
from tests.cli.command import mltrail

DAY_US = 24 * 3600 * 1_000_000


@pytest.fixture
def run_id(past_server: PastServer) -> str:
    return past_server.api.create_run()


@pytest.fixture
def root(run_id: str) -> str:
    return f"0/{run_id}/artifacts"


def due(past_server: PastServer, at_us: int | None = None) -> set[int | str]:
    """Return the ids of the uploads that are to be hashed."""
    jobs = find_unhashed_uploads(past_server.api.read_model, at_us or now_us())
    return {argument for job in jobs for argument in job.arguments}


def hashed(past_server: PastServer, begun: Begun) -> None:
    """Hash an upload and wait until the read model knows."""
    assert hash_upload(past_server.places, begun.upload_id) == "hashed"
    wait_until(lambda: past_server.state(begun) == "verified")


def test_an_upload_is_a_blob_once_it_is_hashed(past_server: PastServer, run_id: str, root: str) -> None:
    content = random_bytes(MIB)
    begun = past_server.upload(f"{root}/model.bin", content)
    assert past_server.shown(run_id) == ({}, {"model.bin": begun.upload_id})
    assert past_server.versions(run_id) == []  # so no audit and no badge counts it
    assert begun.upload_id in due(past_server)
    hashed(past_server, begun)
    assert past_server.shown(run_id) == ({"model.bin": sha256_of(content)}, {})
    assert past_server.versions(run_id) == [sha256_of(content)]
    assert begun.upload_id not in due(past_server)
    assert past_server.bucket.keys(f"blobs/sha256/{sha256_of(content)}")
    assert past_server.read(begun.path) == content
    assert not verify_artifacts(past_server.places.store_url, past_server.bucket.url, 0).missing
    assert hash_upload(past_server.places, begun.upload_id) == "gone"


def test_the_workers_loop_hashes_what_is_due(past_server: PastServer, root: str) -> None:
    begun, stop = past_server.upload(f"{root}/by.loop", b"found by the sweeper"), threading.Event()
    worker = threading.Thread(target=run_jobs, args=(past_server.places, stop), kwargs={"poll_s": 0.05})
    worker.start()
    try:
        wait_until(lambda: past_server.state(begun) == "verified")
    finally:
        stop.set()
        worker.join(20)


@pytest.mark.parametrize(
    ("replacement", "outcome", "action"),
    [(b"other bytes!", "corrupt", "artifact_corrupt"), (None, "missing", "artifact_missing")],
)
def test_an_upload_that_was_tampered_with_stays_unverified_and_is_reported(
    past_server: PastServer, run_id: str, root: str, replacement: bytes | None, outcome: str, action: str
) -> None:
    begun = past_server.upload(f"{root}/f", b"right bytes!")
    key = f"uploads/{begun.upload_id}"
    past_server.bucket.delete(key) if replacement is None else past_server.bucket.put(key, replacement)
    with capture_logs() as lines:
        assert hash_upload(past_server.places, begun.upload_id) == outcome
    [line] = [line for line in lines if line["action"] == action]
    assert (line["log_level"], line["owner"], line["path"]) == ("error", run_id, "f")
    assert past_server.shown(run_id) == ({}, {"f": begun.upload_id})
    assert past_server.versions(run_id) == []
    assert begun.upload_id in due(past_server)  # in case somebody puts it back


def test_bytes_that_change_while_they_are_hashed_are_not_taken(
    past_server: PastServer, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = past_server.upload(f"{root}/f", b"right bytes!")

    def replace() -> bool:
        past_server.bucket.put(f"uploads/{begun.upload_id}", b"other bytes!")
        return False

    assert hash_upload(past_server.places, begun.upload_id, should_stop=replace) == "changed"
    assert past_server.state(begun) == "uploaded"


def test_a_job_that_is_stopped_or_dies_is_done_again(
    past_server: PastServer, run_id: str, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = past_server.upload(f"{root}/f", b"hashed at last")
    with pytest.raises(Interrupted):
        hash_upload(past_server.places, begun.upload_id, should_stop=lambda: True)

    def fail(*_: object) -> None:
        raise Unavailable("the log can't be reached")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", fail)  # the blob is there, and the log does not know
        with pytest.raises(Unavailable):
            hash_upload(past_server.places, begun.upload_id)
    assert past_server.state(begun) == "uploaded"
    hashed(past_server, begun)
    assert past_server.shown(run_id) == ({"f": sha256_of(b"hashed at last")}, {})


def test_two_workers_say_the_same_once(past_server: PastServer, run_id: str, root: str) -> None:
    begun = past_server.upload(f"{root}/f", b"hashed twice")
    past_server.api.stop_projector()
    try:
        assert [hash_upload(past_server.places, begun.upload_id) for _ in range(2)] == ["hashed", "hashed"]
    finally:
        past_server.api.start_projector()
    wait_until(lambda: past_server.state(begun) == "verified")
    assert past_server.versions(run_id) == [sha256_of(b"hashed twice")]
    assert not past_server.rows(rejections, partition=partition_of(run_id))


def test_an_upload_that_was_overwritten_before_it_was_hashed_is_history(
    past_server: PastServer, run_id: str, root: str
) -> None:
    first, second = past_server.upload(f"{root}/f", b"first"), past_server.upload(f"{root}/f", b"second")
    hashed(past_server, second)
    hashed(past_server, first)
    assert past_server.shown(run_id) == ({"f": sha256_of(b"second")}, {})
    assert past_server.versions(run_id) == [sha256_of(b"first"), sha256_of(b"second")]
    assert past_server.read(f"{root}/f") == b"second"


def test_bytes_of_a_hashed_upload_stay_for_those_who_read_them_and_then_go(past_server: PastServer, root: str) -> None:
    begun = past_server.upload(f"{root}/f", b"read on")
    waiting = past_server.upload(f"{root}/g", b"not hashed")
    key = f"uploads/{begun.upload_id}"
    hashed(past_server, begun)
    sweep_unfinished_uploads(past_server.places)
    assert past_server.bucket.keys(key)
    later = now_us() + (KEPT_AFTER_S + 60) * 1_000_000
    sweep_unfinished_uploads(past_server.places, clock_us=lambda: later)
    assert not past_server.bucket.keys(key)
    assert past_server.bucket.keys(f"uploads/{waiting.upload_id}")
    assert past_server.read(begun.path) == b"read on"


def test_an_upload_that_nobody_finishes_is_given_up_and_then_removed(past_server: PastServer, root: str) -> None:
    begun = past_server.begin(f"{root}/f")
    parts = past_server.send(begun, b"half")
    soon, late = now_us() + DAY_US, now_us() + DAY_US + (ABANDONED_AFTER_S + 60) * 1_000_000
    note_uploads(past_server.places, clock_us=lambda: soon)
    past_server.bucket.put(f"uploads/{'e' * 32}", b"of nobody that mltrail knows")
    sweep_unfinished_uploads(past_server.places, clock_us=lambda: late)  # the log does not say so yet
    assert past_server.bucket.under_way(begun.upload_id) == 1
    assert note_uploads(past_server.places, clock_us=lambda: late).abandoned >= 1
    wait_until(lambda: past_server.state(begun) == "abandoned")
    assert past_server.complete(begun, parts).status_code == 404
    sweep_unfinished_uploads(past_server.places)
    assert past_server.bucket.under_way(begun.upload_id) == 0
    assert past_server.bucket.keys(f"uploads/{'e' * 32}")


def test_of_giving_up_and_completing_the_first_in_the_log_wins(past_server: PastServer, run_id: str, root: str) -> None:
    begun = past_server.upload(f"{root}/f", b"whole")
    late = ArtifactUploadAbandoned(now_us(), run_id, "f", begun.upload_id)  # of a job that had not heard of it
    with contextlib.closing(open_log(past_server.places.log_url)) as log:
        Journal(log).append(partition_of(run_id), [late])
    wait_until(lambda: len(past_server.rows(rejections, subject=run_id)) == 1)
    sweep_unfinished_uploads(past_server.places)
    assert (past_server.state(begun), past_server.read(begun.path)) == ("uploaded", b"whole")


def test_the_command_line_tells_verified_files_from_others(
    past_server: PastServer, run_id: str, root: str, tmp_path: Path
) -> None:
    begun = past_server.upload(f"{root}/f", b"checked")
    where = ("--data", past_server.data, "--artifacts-url", past_server.bucket.url, "--json")
    listed = mltrail("artifacts", "list", run_id, *where).json()["artifacts"]
    assert isinstance(listed, list)
    assert [(one["path"], one["sha256"]) for one in listed] == [("f", None)]
    assert "not hashed yet" in mltrail("artifacts", "download", run_id, "--to", tmp_path, *where).out
    hashed(past_server, begun)
    verified = mltrail("artifacts", "verify", run_id, *where).json()["checked"]
    assert isinstance(verified, list)
    assert [(one["path"], one["verdict"]) for one in verified] == [("f", "intact")]


def test_a_rebuild_gives_the_same(past_server: PastServer, root: str, tmp_path: Path) -> None:
    hashed(past_server, past_server.upload(f"{root}/a", b"verified"))
    past_server.upload(f"{root}/b", b"unverified")
    begun = past_server.begin(f"{root}/c")
    past_server.post("abort", begun.path, {"upload_id": begun.token})
    past_server.begin(f"{root}/d")
    log, other = past_server.api.log, open_read_model(str(tmp_path / "again"))
    try:
        catch_up(log, other, timeout_s=60)
        with past_server.api.read_model.reading() as live, other.reading() as again:
            assert digest_read_model(live) == digest_read_model(again)
            assert {row.state for row in again.execute(select(artifact_uploads))} >= {"begun", "verified", "abandoned"}
    finally:
        other.close()
