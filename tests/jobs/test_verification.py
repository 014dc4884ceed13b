"""Verification finds every missing or corrupt artifact, and in as many rounds as there are slices looks at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mltrail_core.clock import now_us
from mltrail_core.events import ArtifactDeleted
from mltrail_core.readmodel.store import open_read_model
from mltrail_jobs import verification
from mltrail_jobs.uploads import sweep_unfinished_uploads
from mltrail_jobs.verification import Interrupted, Slice, slice_of_round, verify_artifacts
from tests.jobs.deployment import RUN, Deployment, deployment_at

ROUND = 1_234_567


@pytest.fixture(params=["sqlite", "postgresql"])
def deployment(tmp_path: Path, request: pytest.FixtureRequest) -> Deployment:
    return deployment_at(
        tmp_path, store_url=None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    )


def test_artifacts_as_they_were_stored_are_all_checked_and_none_reported(deployment: Deployment) -> None:
    deployment.store({"a.txt": b"a" * 10, "b.bin": b"b" * 5, "empty": b""})
    with capture_logs() as lines:
        found = verify_artifacts(deployment.places.store_url, deployment.places.artifacts_url, ROUND)
    assert (found.checked, found.checked_bytes, found.missing, found.corrupt) == (3, 15, (), ())
    assert [line["log_level"] for line in lines] == ["info"]


def test_a_missing_a_changed_and_a_cut_artifact_are_reported_by_path(deployment: Deployment) -> None:
    hashes = deployment.store({"kept": b"kept", "gone": b"gone", "models/changed": b"before", "cut": b"whole"})
    (deployment.blobs / hashes["gone"]).unlink()
    (deployment.blobs / hashes["models/changed"]).write_bytes(b"behind")
    (deployment.blobs / hashes["cut"]).write_bytes(b"who")
    with capture_logs() as lines:
        found = verify_artifacts(deployment.places.store_url, deployment.places.artifacts_url, ROUND)
    assert [blob.path for blob in found.missing] == ["gone"]
    assert {blob.path for blob in found.corrupt} == {"models/changed", "cut"}
    reported = {(line["action"], line.get("owner"), line.get("path")) for line in lines if line["log_level"] == "error"}
    assert reported == {
        ("artifact_missing", RUN, "gone"),
        ("artifact_corrupt", RUN, "models/changed"),
        ("artifact_corrupt", RUN, "cut"),
        ("artifacts_verified", None, None),
    }


def test_what_a_path_held_before_it_was_overwritten_or_deleted_is_checked_too(deployment: Deployment) -> None:
    before = deployment.store({"model": b"first"})["model"]
    deployment.store({"model": b"second"})
    deployment.append([ArtifactDeleted(now_us(), RUN, "model")])
    (deployment.blobs / before).unlink()
    found = verify_artifacts(deployment.places.store_url, deployment.places.artifacts_url, ROUND)
    assert (found.checked, [blob.sha256 for blob in found.missing]) == (2, [before])


def test_a_round_that_is_told_to_stop_leaves_soon_and_says_so(deployment: Deployment) -> None:
    deployment.store({"one": b"1", "two": b"2"})
    with pytest.raises(Interrupted):
        verify_artifacts(deployment.places.store_url, deployment.places.artifacts_url, ROUND, should_stop=lambda: True)


@pytest.mark.parametrize("bound", [("BLOBS_PER_ROUND", 3), ("BYTES_PER_ROUND", 30)])
def test_as_many_rounds_as_slices_check_every_artifact_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: tuple[str, int]
) -> None:
    monkeypatch.setattr(verification, *bound)
    deployment = deployment_at(tmp_path)
    deployment.store({f"file {number}": b"%010d" % number for number in range(20)})
    with contextlib.closing(open_read_model(deployment.places.store_url)) as read_model:
        slices = slice_of_round(read_model, ROUND).count
    assert slices == 8
    checked = [
        verify_artifacts(deployment.places.store_url, deployment.places.artifacts_url, round_number).checked
        for round_number in range(ROUND, ROUND + slices)
    ]
    assert sum(checked) == 20
    assert max(checked) < 20


def test_slices_cover_all_hashes_and_do_not_overlap() -> None:
    for count in (1, 2, 64, 1 << 20):
        assert Slice(0, count).first == "00000000"
        assert Slice(count - 1, count).last == "ffffffff"
    for number in range(63):
        assert int(Slice(number, 64).last, 16) + 1 == int(Slice(number + 1, 64).first, 16)
    first_hash, last_hash = "0" * 64, "f" * 64
    assert Slice(0, 64).first <= first_hash
    assert last_hash <= Slice(63, 64).last + "f" * 56


def test_unfinished_uploads_are_removed_once_they_are_old(tmp_path: Path) -> None:
    deployment = deployment_at(tmp_path)
    deployment.store({"finished": b"finished"})
    unfinished = deployment.blobs.parents[1] / "unfinished"
    for name, age_s in (("old", 25 * 3600), ("young", 60)):
        (unfinished / name).write_bytes(b"half")
        written_s = time.time() - age_s
        os.utime(unfinished / name, (written_s, written_s))
    assert sweep_unfinished_uploads(deployment.places) == 1
    assert [file.name for file in unfinished.iterdir()] == ["young"]
    assert [file.name for file in deployment.blobs.iterdir()] == [hashlib.sha256(b"finished").hexdigest()]
    assert sweep_unfinished_uploads(deployment.places) == 0
