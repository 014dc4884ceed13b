"""Commands that look after the data: rebuild, copy, verify damaged artifacts."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.cli.command import mltrail
from tests.cli.trained import TrainedFolder, trained_folder


@pytest.fixture
def own(trained: TrainedFolder, tmp_path: Path) -> TrainedFolder:
    """A copy of the trained folder that a test may damage."""
    shutil.copytree(trained.data, tmp_path / "data")
    return TrainedFolder(tmp_path / "data", trained.first, trained.second)


def test_rebuild_gives_an_equal_read_model(own: TrainedFolder) -> None:
    report = mltrail("rebuild", "--data", own.data, "--json").json()
    assert report["is_equal"] is True
    assert report["old_digest"] == report["new_digest"]
    assert report["live_generation"] == report["new_generation"] == 2
    assert int(str(report["records"])) > 0
    assert "equal" in mltrail("rebuild", "--data", own.data).out


def test_rebuild_of_a_changed_read_model_says_which_tables_differ_and_keeps_it(own: TrainedFolder) -> None:
    mltrail("runs", "list", "--data", own.data)
    with sqlite3.connect(own.data / "read" / "g1.db") as connection:
        connection.execute("UPDATE params SET value = 'forged' WHERE key = 'model'")
    connection.close()
    different = mltrail("rebuild", "--data", own.data, "--json")
    assert different.status == 1
    report = different.json()
    assert report["differing"] == ["params"]
    assert report["live_generation"] == 1
    assert "forged" in mltrail("runs", "show", own.first, "--data", own.data).out
    accepted = mltrail("rebuild", "--accept-difference", "--data", own.data)
    assert accepted.status == 0
    assert "different in params" in accepted.out
    assert "svm" in mltrail("runs", "show", own.first, "--data", own.data).out


def test_a_log_is_copied_and_gives_the_same_read_model(own: TrainedFolder, tmp_path: Path) -> None:
    source, target = own.data / "log", tmp_path / "copy" / "log"
    first = mltrail("log", "copy", "--from", source, "--to", target, "--json").json()
    assert first["records_before"] == 0
    again = mltrail("log", "copy", "--from", source, "--to", target, "--json").json()
    assert (again["records_before"], again["records_copied"]) == (first["records_copied"], 0)
    digests = {
        str(mltrail("rebuild", "--data", folder, "--json").json()["new_digest"])
        for folder in (own.data, tmp_path / "copy")
    }
    assert len(digests) == 1


def test_a_log_is_not_copied_over_another(own: TrainedFolder, tmp_path: Path) -> None:
    mltrail("experiments", "list", "--data", tmp_path / "other")
    done = mltrail("log", "copy", "--from", own.data / "log", "--to", tmp_path / "other" / "log")
    assert done.status == 1
    assert "another log" in done.err


@pytest.mark.parametrize(("damage", "verdict"), [("flip", "corrupt"), ("remove", "missing")])
def test_verify_finds_damaged_artifacts(own: TrainedFolder, damage: str, verdict: str) -> None:
    (blob,) = (path for path in (own.data / "artifacts" / "blobs" / "sha256").rglob("*") if path.is_file())
    if damage == "remove":
        blob.unlink()
    else:
        blob.chmod(0o644)
        blob.write_text("all is bad!\n")
    done = mltrail("artifacts", "verify", own.first, "--data", own.data, "--json")
    assert done.status == 1
    checked = done.json()["checked"]
    assert isinstance(checked, list)
    assert [one["verdict"] for one in checked] == [verdict]


def test_a_log_that_lost_its_tail_is_refused_until_a_rebuild_is_accepted(own: TrainedFolder, tmp_path: Path) -> None:
    shutil.copytree(own.data / "log", tmp_path / "backup")
    trained_folder(tmp_path)  # writes to the same data folder
    assert len(_runs(own.data)) == 4
    shutil.rmtree(own.data / "log")
    shutil.copytree(tmp_path / "backup", own.data / "log")
    refused = mltrail("runs", "list", "--data", own.data)
    assert refused.status == 1
    assert "mltrail rebuild --accept-difference" in refused.err
    assert mltrail("rebuild", "--data", own.data).status == 1
    assert mltrail("rebuild", "--accept-difference", "--data", own.data).status == 0
    assert sorted(_runs(own.data)) == sorted([own.first, own.second])


def _runs(data: Path) -> list[str]:
    found = mltrail("runs", "list", "--data", data, "--json").json()["runs"]
    assert isinstance(found, list)
    return [run["info"]["run_id"] for run in found]
