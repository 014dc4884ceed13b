"""What a process that was killed in the middle of removing or making its spool leaves, and who sweeps it."""

from __future__ import annotations

from pathlib import Path

from mltrail._spool import spools_in


def test_a_spool_that_was_being_removed_is_swept_by_whoever_looks_next(tmp_path: Path) -> None:
    left = tmp_path / ".gone-20261123T175455-316-ba4bc602"
    (left / "files").mkdir(parents=True)
    (left / "files" / "copy").write_bytes(b"an artifact that the server has")
    assert spools_in(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_spool_that_is_being_made_is_left_alone(tmp_path: Path) -> None:
    making = tmp_path / ".new-20261123T175455-316-ba4bc602"
    making.mkdir()
    assert spools_in(tmp_path) == []
    assert making.is_dir()
