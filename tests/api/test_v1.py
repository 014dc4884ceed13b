"""`/api/v1`: records that a trainer froze, blobs, and what of a run arrived."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Sequence

import httpx
import msgpack
import pytest
import structlog
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from mltrail_api.edge import Edge
from mltrail_api.identity.gate import Gate
from mltrail_api.v1.records import MAX_RECORDS
from mltrail_core.events import (
    ArtifactVerified,
    Event,
    ParamLogged,
    ProducerClosed,
    ProducerOpened,
    RunCreated,
    RunLost,
)
from mltrail_core.ids import new_producer_id, new_run_id, partition_of
from mltrail_core.record import Actor, Attestation, FrozenRecord, Record, attest, freeze_record
from tests.api.running import RunningApi


def post_records(api: RunningApi, records: Sequence[bytes], *, zipped: bool = False) -> httpx.Response:
    body = msgpack.packb(list(records))
    headers = {"Content-Encoding": "gzip"} if zipped else {}
    return api.client.post(
        f"{api.url}/api/v1/records", content=gzip.compress(body) if zipped else body, headers=headers
    )


class Trainer:
    """A producer that writes to a run of its own."""

    def __init__(self) -> None:
        self.run_id = new_run_id()
        self.partition = partition_of(self.run_id)
        self.producer = new_producer_id()

    def freeze(self, sequence: int, *events: Event) -> FrozenRecord:
        return freeze_record(Record(self.partition, self.producer, sequence, Actor("ada"), events))

    def first(self) -> FrozenRecord:
        opened = ProducerOpened(1, self.run_id, "host", 7)
        return self.freeze(1, opened, RunCreated(1, self.run_id, "0", "name", "ada", 1))


@pytest.mark.parametrize("zipped", [False, True])
def test_frozen_records_are_appended_as_they_are_and_their_delivery_is_told(api: RunningApi, zipped: bool) -> None:
    trainer = Trainer()
    records = [trainer.first()]
    records += [trainer.freeze(n, ParamLogged(1, trainer.run_id, f"p{n}", "1")) for n in (2, 3)]
    answer = post_records(api, records, zipped=zipped)
    assert answer.status_code == 200, answer.text
    assert answer.json()["durability"] == "fsync"
    places = answer.json()["appended"]
    assert [place["partition"] for place in places] == [trainer.partition] * 3
    stored = api.log.read(trainer.partition, after=places[0]["index"] - 1)
    assert [entry.frozen for entry in stored[:3]] == records

    url = f"{api.url}/api/v1/runs/{trainer.run_id}/delivery"
    delivery = api.client.get(url).json()
    [producer] = delivery["producers"]
    assert (producer["intervals"], producer["missing"], producer["last_sequence"]) == ("1-3", "", None)
    assert not delivery["is_complete"]  # the end is unknown

    post_records(api, [trainer.freeze(5, ProducerClosed(1, 5))])
    [producer] = api.client.get(url).json()["producers"]
    assert (producer["intervals"], producer["missing"], producer["is_complete"]) == ("1-3,5", "4", False)
    post_records(api, [trainer.freeze(4, ParamLogged(1, trainer.run_id, "p2", "2"))])
    delivery = api.client.get(url).json()
    assert delivery["is_complete"]
    assert delivery["producers"][0]["received"] == 5
    [rejection] = delivery["rejections"]
    assert (rejection["reason"], rejection["sequence"]) == ("param_changed", 4)


def test_records_sent_again_are_one_to_the_fold(api: RunningApi) -> None:
    trainer = Trainer()
    record = trainer.first()
    for _ in range(2):
        assert post_records(api, [record]).status_code == 200
    delivery = api.client.get(f"{api.url}/api/v1/runs/{trainer.run_id}/delivery").json()
    assert [producer["received"] for producer in delivery["producers"]] == [1]
    assert delivery["rejections"] == []


def test_what_only_jobs_may_say_is_not_taken_from_trainers(api: RunningApi) -> None:
    trainer = Trainer()
    before = dict(api.log.heads())
    for event in (
        ArtifactVerified(1, trainer.run_id, "model.bin", "u" * 32, 3, "0" * 64),
        RunLost(1, trainer.run_id, 1, 120),
    ):
        answer = post_records(api, [trainer.freeze(1, event)])
        assert answer.status_code == 400
        assert event.WIRE_NAME in answer.json()["message"]
    assert dict(api.log.heads()) == before


def test_one_record_that_can_not_be_decoded_stops_all_of_the_request(api: RunningApi) -> None:
    trainer = Trainer()
    before = dict(api.log.heads())
    whole = trainer.first()
    for bad in (b"", b"MLT", whole[:-1], b"MLT\x09" + whole[4:], whole + b"\0"):
        answer = post_records(api, [whole, bad])
        assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), bad
        assert "record 1" in answer.json()["message"]
    attested = attest(trainer.first(), Attestation("token", "7"))
    assert "verified" in post_records(api, [attested]).json()["message"]
    assert dict(api.log.heads()) == before


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"", {}),
        (b"\xc1", {}),
        (msgpack.packb({"a": 1}), {}),
        (msgpack.packb(["text"]), {}),
        (b"no gzip", {"Content-Encoding": "gzip"}),
        (gzip.compress(msgpack.packb([]))[:-9], {"Content-Encoding": "gzip"}),
        (gzip.compress(b"\0" * (64 << 20)), {"Content-Encoding": "gzip"}),
        (msgpack.packb([]), {"Content-Encoding": "br"}),
        (b"\x91" * 100_000, {}),
        (msgpack.packb([b""] * (MAX_RECORDS + 1)), {}),
    ],
    ids=["empty", "not msgpack", "a map", "texts", "not gzip", "cut off", "a bomb", "brotli", "nested", "too many"],
)
def test_a_body_that_holds_no_records_is_refused(api: RunningApi, content: bytes, headers: dict[str, str]) -> None:
    answer = api.client.post(f"{api.url}/api/v1/records", content=content, headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), answer.text


def test_a_blob_is_stored_and_fetched_in_ranges(api: RunningApi) -> None:
    content = bytes(range(256)) * 20_000
    sha256 = hashlib.sha256(content).hexdigest()
    stored = api.client.post(f"{api.url}/api/v1/blobs", content=content)
    assert stored.json() == {"sha256": sha256, "size_bytes": len(content)}
    url = f"{api.url}/api/v1/blobs/{sha256}"
    assert api.client.get(url).content == content
    for header, start, end in (
        ("bytes=0-0", 0, 1), ("bytes=100-", 100, len(content)), ("bytes=-7", len(content) - 7, len(content)),
        ("bytes=5-99999999999", 5, len(content)),
    ):  # fmt: skip
        part = api.client.get(url, headers={"Range": header})
        assert (part.status_code, part.content) == (206, content[start:end])
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{len(content)}"
    past = api.client.get(url, headers={"Range": f"bytes={len(content)}-"})
    assert (past.status_code, past.headers["content-range"]) == (416, f"bytes */{len(content)}")
    assert api.client.get(url, headers={"Range": "lines=1-2"}).content == content  # no range of bytes: as without one


def test_an_empty_blob_is_a_blob(api: RunningApi) -> None:
    stored = api.client.post(f"{api.url}/api/v1/blobs", content=b"").json()
    assert stored == {"sha256": hashlib.sha256(b"").hexdigest(), "size_bytes": 0}
    assert api.client.get(f"{api.url}/api/v1/blobs/{stored['sha256']}").content == b""


def test_what_is_not_there_is_not_found(api: RunningApi) -> None:
    assert api.client.get(f"{api.url}/api/v1/blobs/{'0' * 64}").json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    assert api.client.get(f"{api.url}/api/v1/blobs/..%2f..%2fetc").status_code in (400, 404)
    assert api.client.get(f"{api.url}/api/v1/runs/nope/delivery").status_code == 404


def test_openapi_describes_what_is_served(api: RunningApi) -> None:
    paths = api.client.get(f"{api.url}/api/v1/openapi.json").json()["paths"]
    assert {path for path in paths if path.startswith("/api/v1/")} == {
        "/api/v1/records", "/api/v1/blobs", "/api/v1/blobs/{sha256}", "/api/v1/runs/{run_id}/delivery",
        "/api/v1/runs/{run_id}/metrics", "/api/v1/runs/{run_id}/metrics/{key}", "/api/v1/metrics/series",
        "/api/v1/metrics/statistics", "/api/v1/keys", "/api/v1/experiments/{experiment}/keys", "/api/v1/runs/search",
        "/api/v1/heartbeats", "/api/v1/producers/{producer}/records/{sequence}/outcome",
        "/api/v1/tokens", "/api/v1/tokens/{token_id}", "/api/v1/identity",
        "/api/v1/registry/{model}", "/api/v1/registry/{model}/history", "/api/v1/registry/{model}/versions/{version}",
        "/api/v1/registry/{model}/stages/{stage}", "/api/v1/registry/{model}/aliases/{alias}",
        "/api/v1/webhooks", "/api/v1/webhooks/{webhook_id}", "/api/v1/webhooks/{webhook_id}/deliveries",
        "/api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}",
        "/api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
    }  # fmt: skip
    delivered = paths["/api/v1/runs/{run_id}/delivery"]["get"]["responses"]["200"]
    assert delivered["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Delivery"}


def test_health_and_version_answer(api: RunningApi) -> None:
    assert (api.client.get(f"{api.url}/health").status_code, api.client.get(f"{api.url}/health").text) == (200, "OK")
    assert api.client.get(f"{api.url}/version").text == api.services.version


def test_a_client_that_goes_away_in_the_middle_is_neither_answered_nor_a_failure_of_ours(api: RunningApi) -> None:
    async def broken_off(scope: Scope, receive: Receive, send: Send) -> None:
        raise ClientDisconnect

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError(f"answered {message}")

    scope = {"type": "http", "method": "POST", "path": "/api/v1/records", "headers": []}
    edge = Edge(broken_off, Gate(api.services.tokens, requires_token=False))
    with structlog.testing.capture_logs() as lines:
        asyncio.run(edge(scope, receive, send))
    assert lines == []
