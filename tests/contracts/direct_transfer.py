"""What every DirectTransfer does. A test module subclasses it beside `ArtifactStoreContract`, whose store it uses."""

from __future__ import annotations

import httpx
import pytest

from mltrail_core.artifacts import ArtifactStore, Blob, DirectTransfer
from mltrail_core.artifacts.direct import SavedAs, UploadedPart, UploadId, new_upload_id
from mltrail_core.errors import Conflict, Invalid, NotFound
from tests.contracts.artifact_store import MIB, content_of, sha256_of

SAVED_AS = SavedAs('attachment; filename="model.bin"', "text/x-model")


def transfer_of(store: ArtifactStore) -> DirectTransfer:
    """Return the way past the server of a store that has one."""
    assert store.direct is not None
    return store.direct


def send_part(url: str, number: int, content: bytes) -> UploadedPart:
    """Put a part as a client does, and return what the store is told of it."""
    answer = httpx.put(url, content=content)
    assert answer.status_code == 200, answer.text
    return UploadedPart(number, answer.headers["ETag"])


def put_whole(store: ArtifactStore, content: bytes) -> UploadId:
    """Put a file as a client does, and return the id of its upload."""
    upload_id = new_upload_id()
    signed = transfer_of(store).sign_put(upload_id, "text/plain", 60)
    answer = httpx.put(signed.url, headers=dict(signed.headers), content=content)
    assert answer.status_code == 200, answer.text
    return upload_id


class DirectTransferContract:
    """Subclass as `TestXxx` together with `ArtifactStoreContract`."""

    def test_parts_that_clients_put_become_one_upload_and_then_a_blob(self, store: ArtifactStore) -> None:
        direct, upload_id = transfer_of(store), new_upload_id()
        contents = [content_of(5 * MIB), content_of(5 * MIB + 1), b"the rest"]
        key = direct.begin_multipart(upload_id)
        urls = direct.sign_parts(upload_id, key, len(contents), 60)
        parts = [send_part(urls[n].url, n + 1, contents[n]) for n in (2, 0, 1)]  # they come as they like
        with pytest.raises(NotFound):
            direct.stat_upload(upload_id)
        direct.complete_multipart(upload_id, key, sorted(parts, key=lambda part: part.number))
        whole = b"".join(contents)
        found = direct.stat_upload(upload_id)
        assert found.size_bytes == len(whole)
        with direct.open_upload(upload_id, 5 * MIB - 1, 5 * MIB + 3) as stream:
            assert stream.read() == whole[5 * MIB - 1 : 5 * MIB + 3]
        assert list(store.list()) == []
        assert direct.adopt(upload_id, found.etag) == Blob(sha256_of(whole), len(whole))
        with store.open(sha256_of(whole)) as stream:
            assert sha256_of(stream.read()) == sha256_of(whole)
        assert list(direct.list_uploads()) == [upload_id]
        for _ in range(2):
            direct.discard(upload_id)
        assert list(direct.list_uploads()) == []
        assert store.exists(sha256_of(whole))

    def test_parts_that_are_not_there_are_refused(self, store: ArtifactStore) -> None:
        direct, upload_id = transfer_of(store), new_upload_id()
        key = direct.begin_multipart(upload_id)
        part = send_part(direct.sign_parts(upload_id, key, 1, 60)[0].url, 1, b"only")
        with pytest.raises(Invalid, match="can't be completed"):
            direct.complete_multipart(upload_id, key, [UploadedPart(1, '"' + "0" * 32 + '"')])
        with pytest.raises(Invalid, match="can't be completed"):
            direct.complete_multipart(upload_id, key, [part, UploadedPart(2, part.etag)])
        direct.complete_multipart(upload_id, key, [part])
        assert direct.stat_upload(upload_id).size_bytes == 4

    def test_what_is_under_way_is_listed_and_discarded(self, store: ArtifactStore) -> None:
        direct, upload_id, other = transfer_of(store), new_upload_id(), put_whole(store, b"other")
        key = direct.begin_multipart(upload_id)
        send_part(direct.sign_parts(upload_id, key, 1, 60)[0].url, 1, b"half")
        assert set(direct.list_uploads()) == {upload_id, other}
        assert store.sweep_unfinished(older_than_s=0) == 0  # they are known to the log, and not swept by their age
        direct.discard(upload_id)
        assert set(direct.list_uploads()) == {other}

    def test_only_the_content_that_was_named_is_adopted(self, store: ArtifactStore) -> None:
        direct, upload_id = transfer_of(store), put_whole(store, b"content")
        etag = direct.stat_upload(upload_id).etag
        with pytest.raises(Conflict):
            direct.adopt(upload_id, '"another"')
        assert direct.adopt(upload_id, etag, lambda: True) is None
        assert list(store.list()) == []
        with pytest.raises(NotFound):
            direct.adopt(new_upload_id(), etag)
        assert [direct.adopt(upload_id, etag) for _ in range(2)] == [Blob(sha256_of(b"content"), 7)] * 2

    def test_downloads_by_url_are_ranged_and_say_what_they_are(self, store: ArtifactStore) -> None:
        direct, upload_id = transfer_of(store), put_whole(store, b"0123456789")
        blob = store.put([b"0123456789"])
        signed = [direct.sign_upload(upload_id, SAVED_AS, 60), direct.sign_blob(blob.sha256, SAVED_AS, 60)]
        for url in signed:
            answer = httpx.get(url.url, headers={**url.headers, "Range": "bytes=2-4"})
            assert (answer.status_code, answer.content) == (206, b"234")
            assert answer.headers["content-disposition"] == SAVED_AS.disposition
            assert answer.headers["content-type"].startswith(SAVED_AS.media_type)

    def test_an_id_leads_nowhere_else(self, store: ArtifactStore) -> None:
        direct = transfer_of(store)
        for wrong in ("", "../blobs/sha256/x", "0" * 31, "G" * 32):
            with pytest.raises(Invalid, match="no id of an upload"):
                direct.stat_upload(UploadId(wrong))
