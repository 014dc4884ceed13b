"""What every ArtifactStore does. A test module subclasses the suite and gives the fixture `store_url`."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from mltrail_core.artifacts import ArtifactStore, Blob, Sha256, open_artifact_store
from mltrail_core.errors import Invalid, NotFound

MIB = 1024 * 1024
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
ABSENT_SHA256 = "0" * 64

WRITES_UNTIL_KILLED = """
import sys, time
from mltrail_core.artifacts import open_artifact_store
writer = open_artifact_store(sys.argv[1]).writer()
for _ in range(20):
    writer.write(bytes(1024 * 1024))
print("written", flush=True)
time.sleep(600)
"""

STREAMS_BOTH_WAYS = """
import hashlib, json, os, pathlib, resource, sys
from mltrail_core.artifacts import open_artifact_store

def peak_kib():
    # Not getrusage where /proc is: its peak begins with that of the process that forked this one.
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def generated(count):
    block = os.urandom(1024 * 1024)
    for n in range(count):
        chunk = n.to_bytes(8, "big") + block[8:]
        expected.update(chunk)
        yield chunk

store = open_artifact_store(sys.argv[1])
expected = hashlib.sha256()
with store.open(store.put([b"warm up"]).sha256) as stream:
    stream.read()
before_kib = peak_kib()
expected = hashlib.sha256()
blob = store.put(generated(int(sys.argv[2])))
returned = hashlib.sha256()
with store.open(blob.sha256) as stream:
    for chunk in stream:
        returned.update(chunk)
print(json.dumps({
    "growth_kib": peak_kib() - before_kib, "size_bytes": blob.size_bytes,
    "same": blob.sha256 == expected.hexdigest() == returned.hexdigest(),
}))
store.close()
"""


def sha256_of(content: bytes) -> Sha256:
    """Return the hash of `content`."""
    return Sha256(hashlib.sha256(content).hexdigest())


def content_of(size_bytes: int) -> bytes:
    """Return bytes without a pattern, the same for the same size, so that a shifted or repeated piece is noticed."""
    return random.Random(size_bytes).randbytes(size_bytes)


class ArtifactStoreContract:
    """Subclass as `TestXxx` and give `store_url`, an empty store's URL that a new process can open as well."""

    large_mib = 64
    """Size of the stream whose memory is measured."""
    growth_limit_mib = 8
    """How far the process's peak may rise over what it is after one small put and open."""

    @pytest.fixture
    def store(self, store_url: str) -> Iterator[ArtifactStore]:
        """The store under test, closed after it."""
        store = open_artifact_store(store_url)
        yield store
        store.close()

    def test_what_was_put_is_opened_by_its_hash(self, store: ArtifactStore) -> None:
        blob = store.put([b"some ", b"", b"bytes"])
        assert blob == Blob(sha256_of(b"some bytes"), 10)
        with store.open(blob.sha256) as stream:
            assert (stream.size_bytes, stream.start, stream.end) == (10, 0, 10)
            assert stream.read() == b"some bytes"

    def test_an_empty_blob_is_a_blob(self, store: ArtifactStore) -> None:
        assert store.put([]) == Blob(Sha256(EMPTY_SHA256), 0)
        assert store.exists(EMPTY_SHA256)
        with store.open(EMPTY_SHA256) as stream:
            assert (stream.size_bytes, list(stream)) == (0, [])
        with store.open(EMPTY_SHA256, 0, 10) as stream:
            assert (stream.end, list(stream)) == (0, [])

    def test_the_same_content_twice_is_one_blob_with_a_new_time(self, store: ArtifactStore) -> None:
        first = store.put([b"same"])
        first_us = store.stat(first.sha256).stored_us
        assert store.put([b"sa", b"me"]) == first
        assert [stored.sha256 for stored in store.list()] == [first.sha256]
        assert store.stat(first.sha256).stored_us >= first_us

    def test_stat_tells_size_and_time(self, store: ArtifactStore) -> None:
        before_us = int(time.time() * 1_000_000)
        blob = store.put([bytes(1_234)])
        stored = store.stat(blob.sha256)
        assert (stored.sha256, stored.size_bytes) == (blob.sha256, 1_234)
        assert abs(stored.stored_us - before_us) < 60_000_000

    @pytest.mark.parametrize(
        ("start", "end"),
        [(0, 1), (0, 5_000), (1, None), (4_999, 5_000), (100, 100), (5_000, None), (10, 9_999), (0, 0)],
    )
    def test_a_range_is_that_part_of_the_blob(self, store: ArtifactStore, start: int, end: int | None) -> None:
        content = content_of(5_000)
        blob = store.put([content])
        with store.open(blob.sha256, start, end) as stream:
            assert stream.read() == content[start:end]
            assert (stream.size_bytes, stream.start, stream.end) == (5_000, start, min(end or 0, 5_000) or stream.end)

    @pytest.mark.parametrize(("start", "end"), [(-1, None), (-5, -1), (3, 2), (11, None), (11, 12)])
    def test_a_range_outside_the_blob_is_invalid(self, store: ArtifactStore, start: int, end: int | None) -> None:
        blob = store.put([b"0123456789"])
        with pytest.raises(Invalid, match="not a range of a blob of 10 bytes"):
            store.open(blob.sha256, start, end)

    def test_ranges_across_chunks_of_a_large_blob_meet_exactly(self, store: ArtifactStore) -> None:
        content = content_of(9 * MIB + 3)
        blob = store.put([content])
        cuts = [0, 1, MIB, 5 * MIB - 1, 9 * MIB, 9 * MIB + 3]
        read = []
        for start, end in itertools.pairwise(cuts):
            with store.open(blob.sha256, start, end) as stream:
                read.append(stream.read())
        assert b"".join(read) == content

    def test_a_stream_that_is_left_half_read_can_be_closed(self, store: ArtifactStore) -> None:
        blob = store.put([bytes(4 * MIB)])
        with store.open(blob.sha256) as stream:
            assert 0 < len(next(iter(stream))) <= MIB

    def test_a_missing_blob_is_not_found(self, store: ArtifactStore) -> None:
        assert not store.exists(ABSENT_SHA256)
        for start, end in [(0, None), (5, 10), (5, 5)]:
            with pytest.raises(NotFound, match=ABSENT_SHA256):
                store.open(ABSENT_SHA256, start, end)
        with pytest.raises(NotFound, match=ABSENT_SHA256):
            store.stat(ABSENT_SHA256)

    @pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n", "0" * 65])
    def test_a_name_that_is_no_hash_is_invalid(self, store: ArtifactStore, name: str) -> None:
        for call in (store.open, store.stat, store.exists, store.delete):
            with pytest.raises(Invalid, match="not a SHA-256"):
                call(name)

    def test_a_deleted_blob_is_gone_and_deleting_it_again_is_no_error(self, store: ArtifactStore) -> None:
        kept, dropped = store.put([b"kept"]), store.put([b"dropped"])
        store.delete(dropped.sha256)
        store.delete(dropped.sha256)
        assert not store.exists(dropped.sha256)
        assert [stored.sha256 for stored in store.list()] == [kept.sha256]

    def test_list_yields_every_blob_once(self, store: ArtifactStore) -> None:
        assert list(store.list()) == []
        blobs = {store.put([bytes([n])]) for n in range(20)}
        listed = list(store.list())
        assert len(listed) == 20
        assert {Blob(stored.sha256, stored.size_bytes) for stored in listed} == blobs
        assert {stored.stored_us for stored in listed} == {store.stat(stored.sha256).stored_us for stored in listed}

    def test_a_writer_takes_chunks_over_time_and_from_several_threads(self, store: ArtifactStore) -> None:
        writer = store.writer()
        chunks: list[bytes | bytearray | memoryview] = [
            content_of(3 * MIB),
            bytearray(b"x" * 17),
            memoryview(content_of(6 * MIB)),
        ]
        with ThreadPoolExecutor(max_workers=3) as pool:
            for chunk in chunks:
                pool.submit(writer.write, chunk).result()
            assert writer.size_bytes == 9 * MIB + 17
            assert not list(store.list())
            blob = pool.submit(writer.commit).result()
        assert blob == Blob(sha256_of(b"".join(chunks)), 9 * MIB + 17)
        assert store.stat(blob.sha256).size_bytes == blob.size_bytes
        assert store.sweep_unfinished(older_than_s=0) == 0

    @pytest.mark.parametrize("size_bytes", [0, 100, 20 * MIB])
    def test_an_aborted_upload_leaves_nothing(self, store: ArtifactStore, size_bytes: int) -> None:
        writer = store.writer()
        writer.write(bytes(size_bytes))
        writer.abort()
        writer.abort()
        assert list(store.list()) == []
        assert store.sweep_unfinished(older_than_s=0) == 0

    def test_an_upload_whose_source_fails_leaves_nothing(self, store: ArtifactStore) -> None:
        def failing() -> Iterator[bytes]:
            yield bytes(20 * MIB)
            raise ConnectionResetError("the client went away")

        with pytest.raises(ConnectionResetError, match="the client went away"):
            store.put(failing())
        assert list(store.list()) == []
        assert store.sweep_unfinished(older_than_s=0) == 0

    def test_a_finished_writer_takes_no_more(self, store: ArtifactStore) -> None:
        committed, aborted = store.writer(), store.writer()
        blob = committed.commit()
        committed.abort()
        aborted.abort()
        for writer in (committed, aborted):
            with pytest.raises(ValueError, match="committed or aborted"):
                writer.write(b"more")
            with pytest.raises(ValueError, match="committed or aborted"):
                writer.commit()
        assert store.exists(blob.sha256)

    def test_concurrent_puts_of_the_same_content_give_one_whole_blob(self, store: ArtifactStore) -> None:
        content = content_of(9 * MIB)
        with ThreadPoolExecutor(max_workers=4) as pool:
            blobs = list(pool.map(lambda _: store.put([content]), range(4)))
        assert set(blobs) == {Blob(sha256_of(content), len(content))}
        assert [stored.size_bytes for stored in store.list()] == [len(content)]
        with store.open(blobs[0].sha256) as stream:
            assert sha256_of(stream.read()) == blobs[0].sha256
        assert store.sweep_unfinished(older_than_s=0) == 0

    def test_concurrent_puts_of_different_content_do_not_mix(self, store: ArtifactStore) -> None:
        contents = [bytes([n]) * (2 * MIB) for n in range(8)]
        with ThreadPoolExecutor(max_workers=4) as pool:
            blobs = list(pool.map(lambda content: store.put([content]), contents))
        assert [blob.sha256 for blob in blobs] == [sha256_of(content) for content in contents]

    def test_a_process_killed_in_the_middle_leaves_no_blob_and_its_upload_is_swept(
        self, store: ArtifactStore, store_url: str
    ) -> None:
        kept = store.put([b"kept"])
        with subprocess.Popen(
            [sys.executable, "-c", WRITES_UNTIL_KILLED, store_url], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "written\n"
            os.kill(process.pid, signal.SIGKILL)
        assert [stored.sha256 for stored in store.list()] == [kept.sha256]
        assert store.sweep_unfinished(older_than_s=3_600) == 0
        assert store.sweep_unfinished(older_than_s=0) == 1
        assert store.sweep_unfinished(older_than_s=0) == 0
        assert [stored.sha256 for stored in store.list()] == [kept.sha256]

    def test_check_passes_and_leaves_nothing(self, store: ArtifactStore) -> None:
        store.check()
        assert list(store.list()) == []
        assert store.sweep_unfinished(older_than_s=0) == 0

    def test_its_url_opens_the_same_store(self, store: ArtifactStore) -> None:
        blob = store.put([b"found again"])
        other = open_artifact_store(store.url)
        assert other.exists(blob.sha256)
        other.close()

    def test_a_large_stream_goes_both_ways_in_constant_memory(self, store_url: str) -> None:
        done = subprocess.run(
            [sys.executable, "-c", STREAMS_BOTH_WAYS, store_url, str(self.large_mib)],
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr
        seen = json.loads(done.stdout)
        assert (seen["same"], seen["size_bytes"]) == (True, self.large_mib * MIB)
        assert seen["growth_kib"] < self.growth_limit_mib * 1024
