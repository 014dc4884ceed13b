"""The S3 adapter against a real HTTP service: the contract, and what only S3 can do."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable, Iterator
from typing import cast

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from urllib3 import HTTPResponse

from mltrail_core.artifacts import ArtifactStore, Blob, open_artifact_store
from mltrail_core.artifacts.s3 import S3ArtifactStore
from mltrail_core.artifacts.s3_multipart import PartSizes
from mltrail_core.errors import NotFound, Unavailable
from tests.contracts.artifact_store import MIB, ArtifactStoreContract, content_of, sha256_of
from tests.contracts.direct_transfer import DirectTransferContract
from tests.servers import S3Server, free_port


class TestS3ArtifactStore(ArtifactStoreContract, DirectTransferContract):
    growth_limit_mib = 56  # two parts of 16 MiB and the connection

    @pytest.fixture
    def store_url(self, s3_bucket_url: str) -> str:
        return f"{s3_bucket_url}/team/artifacts"


@pytest.fixture
def small_parts(s3_bucket_url: str) -> Iterator[S3ArtifactStore]:
    """A store that takes all its roads with few bytes."""
    sizes = PartSizes(small_blob=MIB, part=5 * MIB, copy_part=7 * MIB)
    store = S3ArtifactStore(s3_bucket_url.removeprefix("s3://"), sizes=sizes)
    yield store
    store.close()


def keys_of(bucket_url: str) -> set[str]:
    """Return the keys of all objects in a bucket."""
    client = boto3.client("s3")
    listed = client.list_objects_v2(Bucket=bucket_url.removeprefix("s3://"))
    client.close()
    return {item["Key"] for item in listed.get("Contents", ())}


def test_keys_are_those_the_design_names(s3_bucket_url: str) -> None:
    for url, prefix in [(s3_bucket_url, ""), (f"{s3_bucket_url}/a/b/", "a/b/")]:
        store = open_artifact_store(url)
        blob = store.put([b"bytes"])
        assert f"{prefix}blobs/sha256/{blob.sha256}" in keys_of(s3_bucket_url)
        store.close()


@pytest.mark.parametrize("size_bytes", [MIB, MIB + 1, 5 * MIB, 7 * MIB, 7 * MIB + 1, 23 * MIB + 5])
def test_every_way_a_blob_can_travel_stores_it_whole(
    small_parts: ArtifactStore, s3_bucket_url: str, size_bytes: int
) -> None:
    content = content_of(size_bytes)
    blob = small_parts.put(content[first : first + 777_777] for first in range(0, size_bytes, 777_777))
    assert blob == Blob(sha256_of(content), size_bytes)
    with small_parts.open(blob.sha256) as stream:
        assert sha256_of(stream.read()) == blob.sha256
    assert keys_of(s3_bucket_url) == {f"blobs/sha256/{blob.sha256}"}
    assert small_parts.sweep_unfinished(older_than_s=0) == 0


def test_other_peoples_unfinished_uploads_in_the_bucket_are_not_swept(
    small_parts: ArtifactStore, s3_bucket_url: str
) -> None:
    bucket = s3_bucket_url.removeprefix("s3://")
    client = boto3.client("s3")
    client.create_multipart_upload(Bucket=bucket, Key="theirs")
    assert small_parts.sweep_unfinished(older_than_s=0) == 0
    assert [upload["Key"] for upload in client.list_multipart_uploads(Bucket=bucket)["Uploads"]] == ["theirs"]
    client.close()


def test_a_temporary_object_left_by_a_killed_process_is_swept(small_parts: ArtifactStore, s3_bucket_url: str) -> None:
    client = boto3.client("s3")
    client.put_object(Bucket=s3_bucket_url.removeprefix("s3://"), Key="unfinished/abc", Body=b"left")
    assert small_parts.sweep_unfinished(older_than_s=3_600) == 0
    assert small_parts.sweep_unfinished(older_than_s=0) == 1
    assert keys_of(s3_bucket_url) == set()
    client.close()


def answer_no_such_upload(store: S3ArtifactStore, before: Callable[[], object]) -> None:
    """Let the next completion of a multipart upload be answered NoSuchUpload after `before` was called.

    S3 says so, with status 404; moto says 500 and nothing more.
    """

    def answer(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        events.unregister(event, handler)
        before()
        body = io.BytesIO(b"<Error><Code>NoSuchUpload</Code><Message>no such upload</Message></Error>")
        return AWSResponse(request.url, 404, HTTPHeaders(), HTTPResponse(body, preload_content=False))

    events, event = store._bucket.client.meta.events, "before-send.s3.CompleteMultipartUpload"
    handler = cast("Callable[..., None]", answer)  # as the stubs have it; an answer that is returned is not sent for
    events.register(event, handler)


def test_an_upload_that_was_swept_is_unavailable_and_leaves_no_blob(small_parts: S3ArtifactStore) -> None:
    writer = small_parts.writer()
    writer.write(bytes(5 * MIB))
    answer_no_such_upload(small_parts, before=lambda: small_parts.sweep_unfinished(older_than_s=0))
    with pytest.raises(Unavailable, match=r"NoSuchUpload.*upload it again"):
        writer.commit()
    assert list(small_parts.list()) == []


def test_a_completion_whose_answer_was_lost_is_taken_as_done(small_parts: S3ArtifactStore, s3_bucket_url: str) -> None:
    bucket = s3_bucket_url.removeprefix("s3://")
    client = boto3.client("s3")

    def complete_as_the_first_attempt_did() -> None:
        (upload,) = client.list_multipart_uploads(Bucket=bucket)["Uploads"]
        key, upload_id = upload["Key"], upload["UploadId"]
        listed = client.list_parts(Bucket=bucket, Key=key, UploadId=upload_id)["Parts"]
        client.complete_multipart_upload(
            Bucket=bucket,
            Key=key,
            UploadId=upload_id,
            MultipartUpload={"Parts": [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in listed]},
        )

    content = content_of(6 * MIB)
    writer = small_parts.writer()
    writer.write(content)
    answer_no_such_upload(small_parts, before=complete_as_the_first_attempt_did)
    assert writer.commit() == Blob(sha256_of(content), 6 * MIB)
    assert keys_of(s3_bucket_url) == {f"blobs/sha256/{sha256_of(content)}"}
    client.close()


def test_a_bucket_that_does_not_exist_is_named_by_check(s3_bucket_url: str) -> None:
    store = open_artifact_store("s3://absent-bucket/prefix")
    with pytest.raises(Unavailable, match=r"s3://absent-bucket/prefix at http://127.*NoSuchBucket.*create the bucket"):
        store.check()
    store.close()


def test_a_service_that_cannot_be_reached_is_unavailable(s3_bucket_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{free_port()}")
    store = open_artifact_store(s3_bucket_url)
    with pytest.raises(Unavailable, match="Could not connect to the endpoint URL"):
        store.check()
    store.close()


def test_missing_credentials_say_what_to_set(s3_bucket_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    store = open_artifact_store(s3_bucket_url)
    with pytest.raises(Unavailable, match="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        store.check()
    store.close()


class _CuttingProxy:
    """Forwards one connection after another to the S3 service; cuts the first `cuts` of them after `allowed` bytes."""

    def __init__(self, target_port: int, cuts: int, allowed: int) -> None:
        self._target_port = target_port
        self._allowed = allowed
        self._cuts_left = cuts
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with client, socket.create_connection(("127.0.0.1", self._target_port)) as server:
                upwards = threading.Thread(target=self._pump, args=(client, server, None))
                upwards.start()
                self._pump(server, client, self._allowed if self._cuts_left > 0 else None)
                self._cuts_left -= 1
                for side in (client, server):
                    side.shutdown(socket.SHUT_RDWR) if side.fileno() >= 0 else None
                upwards.join(10)

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket, allowed: int | None) -> None:
        passed = 0
        while allowed is None or passed < allowed:
            try:
                data = source.recv(65_536)
                target.sendall(data)
            except OSError:
                return
            if not data:
                return
            passed += len(data)


@pytest.mark.parametrize("cuts", [1, 3])
def test_a_download_that_breaks_off_goes_on_where_it_broke(s3_bucket_url: str, s3_server: S3Server, cuts: int) -> None:
    content = content_of(12 * MIB)
    direct = open_artifact_store(s3_bucket_url)
    blob = direct.put([content])
    direct.close()
    proxy = _CuttingProxy(s3_server.port, cuts=cuts, allowed=3 * MIB)
    store = S3ArtifactStore(s3_bucket_url.removeprefix("s3://"), endpoint_url=f"http://127.0.0.1:{proxy.port}")
    try:
        with store.open(blob.sha256, 5, 12 * MIB - 5) as stream:
            assert sha256_of(stream.read()) == sha256_of(content[5:-5])
        assert proxy.connections == cuts + 1
    finally:
        store.close()
        proxy.close()


def test_a_blob_deleted_while_it_is_read_is_told_to_the_reader(s3_bucket_url: str, s3_server: S3Server) -> None:
    direct = open_artifact_store(s3_bucket_url)
    blob = direct.put([content_of(12 * MIB)])
    proxy = _CuttingProxy(s3_server.port, cuts=1, allowed=3 * MIB)
    store = S3ArtifactStore(s3_bucket_url.removeprefix("s3://"), endpoint_url=f"http://127.0.0.1:{proxy.port}")
    try:
        with store.open(blob.sha256) as stream:
            direct.delete(blob.sha256)
            with pytest.raises(NotFound, match="was deleted while it was read"):
                stream.read()
    finally:
        direct.close()
        store.close()
        proxy.close()
