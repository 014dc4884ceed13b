"""The folder adapter: the contract, and what only files can do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mltrail_core.artifacts import ArtifactStore, open_artifact_store
from mltrail_core.errors import Invalid, Unavailable
from tests.contracts.artifact_store import ArtifactStoreContract


class TestFolderArtifactStore(ArtifactStoreContract):
    large_mib = 256

    @pytest.fixture
    def store_url(self, tmp_path: Path) -> str:
        return str(tmp_path / "artifacts with a space")

    def test_clients_have_no_way_past_the_server(self, store: ArtifactStore) -> None:
        assert store.direct is None

    def test_a_blob_lies_at_the_path_the_design_names(self, store: ArtifactStore, store_url: str) -> None:
        blob = store.put([b"bytes"])
        assert Path(store_url, "blobs", "sha256", blob.sha256).read_bytes() == b"bytes"

    def test_a_blob_is_fsynced_before_it_gets_its_name_and_the_name_before_commit_returns(
        self, store: ArtifactStore, store_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.check()
        steps: list[str] = []
        real_fsync, real_replace = os.fsync, os.replace

        def fsync(descriptor: int) -> None:
            steps.append("fsync " + Path(os.readlink(f"/proc/self/fd/{descriptor}")).parent.name)
            real_fsync(descriptor)

        def replace(source: Path, target: Path) -> None:
            steps.append(f"rename to {Path(target).parent.name}")
            real_replace(source, target)

        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(os, "replace", replace)
        store.put([b"bytes"])
        assert steps == ["fsync unfinished", "rename to sha256", "fsync blobs"]

    def test_files_that_are_no_blobs_are_not_listed(self, store: ArtifactStore, store_url: str) -> None:
        blob = store.put([b"bytes"])
        Path(store_url, "blobs", "sha256", ".DS_Store").write_bytes(b"")
        assert [stored.sha256 for stored in store.list()] == [blob.sha256]

    def test_an_upload_that_was_swept_says_so_at_commit(self, store: ArtifactStore) -> None:
        writer = store.writer()
        writer.write(b"slow")
        assert store.sweep_unfinished(older_than_s=0) == 1
        with pytest.raises(Unavailable, match="was its upload swept"):
            writer.commit()
        assert list(store.list()) == []

    def test_a_blob_cut_after_it_was_stored_is_told_to_a_reader(self, store: ArtifactStore, store_url: str) -> None:
        blob = store.put([bytes(100)])
        with store.open(blob.sha256) as stream:
            os.truncate(Path(store_url, "blobs", "sha256", blob.sha256), 40)
            with pytest.raises(Unavailable, match="ends 60 bytes early"):
                stream.read()


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = open_artifact_store(str(tmp_path / "file" / "artifacts"))
    for call in (store.check, store.writer):
        with pytest.raises(Unavailable, match="Not a directory; check space, permissions and mount"):
            call()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_unavailable_and_the_upload_can_be_aborted(tmp_path: Path) -> None:
    store = open_artifact_store(str(tmp_path))
    writer = store.writer()
    (temporary,) = (tmp_path / "unfinished").iterdir()
    with open("/dev/full", "wb", buffering=0) as full:
        for descriptor in Path("/proc/self/fd").iterdir():
            if descriptor.exists() and descriptor.resolve() == temporary:
                os.dup2(full.fileno(), int(descriptor.name))
    with pytest.raises(Unavailable, match="No space left on device"):
        writer.write(b"bytes")
    writer.abort()
    assert list((tmp_path / "unfinished").iterdir()) == []


@pytest.mark.parametrize("url", ["gs://bucket", "s3:///no-bucket", "file://host/folder", ""])
def test_a_url_of_no_known_store_is_invalid(url: str) -> None:
    with pytest.raises(Invalid, match="expected"):
        open_artifact_store(url)


def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    store = open_artifact_store((tmp_path / "a folder").as_uri())
    blob = store.put([b"bytes"])
    assert (tmp_path / "a folder" / "blobs" / "sha256" / blob.sha256).exists()


def test_using_a_folder_does_not_import_boto3(tmp_path: Path) -> None:
    script = (
        "import sys; from mltrail_core.artifacts import open_artifact_store; "
        "open_artifact_store(sys.argv[1]).put([b'x']); print('boto3' in sys.modules, 'botocore' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.stdout == "False False\n", done.stderr
