"""Who a request comes from: tokens over a real server, shown well and badly."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import msgpack
import pytest
from sqlalchemy import select

from mltrail_api.identity.credentials import MAX_HEADER_BYTES
from mltrail_api.identity.verifier import REMEMBERED_S
from mltrail_core.clock import now_us
from mltrail_core.events import RunCreated, TokenCreated, TokenRevoked, WebhookDeleted
from mltrail_core.ids import CONTROL, new_producer_id, new_run_id, partition_of
from mltrail_core.readmodel import tables
from mltrail_core.record import Actor, Record, decode_record, freeze_record
from mltrail_core.token import new_token, token_hash
from tests.api.running import RunningApi, running_api, wait_until
from tests.api.token_making import MadeToken, make_token, revoke_token

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=5"


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    """A server that requires a token."""
    with running_api(tmp_path_factory.mktemp("closed"), requires_token=True) as running:
        yield running


@pytest.fixture(scope="module")
def ann(closed: RunningApi) -> MadeToken:
    """A token of ann."""
    return make_token(closed.log, "ann")


def _basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def _assert_unauthenticated(response: httpx.Response) -> None:
    assert response.status_code == 401, response.text
    assert response.json()["error_code"] == "UNAUTHENTICATED"
    assert response.json()["message"]
    assert response.headers["www-authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize(
    "path",
    [SEARCH, "/", "/api/v1/openapi.json", "/api/v1/identity", "/no/such", "/ajax-api/2.0/x", "/health/", "//health"],
)
def test_without_a_token_nothing_is_served(closed: RunningApi, path: str) -> None:
    _assert_unauthenticated(closed.client.get(closed.url + path))
    _assert_unauthenticated(closed.client.post(closed.url + path, content=b"{}"))


def test_health_and_version_are_for_everybody_whatever_they_show(closed: RunningApi) -> None:
    for path in ("/health", "/version"):
        assert closed.client.get(closed.url + path).status_code == 200
        assert closed.client.get(closed.url + path, headers={"Authorization": "nonsense"}).status_code == 200


def test_a_token_is_taken_as_bearer_and_as_the_password_of_any_user(closed: RunningApi, ann: MadeToken) -> None:
    shown = [ann.bearer, {"Authorization": f"bEARER   {ann.text}"}, _basic("ann", ann.text), _basic("søren", ann.text)]
    for headers in (*shown, _basic("", ann.text)):
        response = closed.client.get(closed.url + "/api/v1/identity", headers=headers)
        assert response.json() == {"user": "ann", "known": "verified", "token_id": ann.token_id}


def _bad_headers(ann: MadeToken) -> dict[str, bytes]:
    other = new_token().text
    text = ann.text
    return {
        "unknown": f"Bearer {other}".encode(),
        "another's secret under a known id": f"Bearer mlt_{ann.token_id}_{other[-43:]}".encode(),
        "last letter missing": f"Bearer {text[:-1]}".encode(),
        "one letter more": f"Bearer {text}A".encode(),
        "other case": f"Bearer {text.upper()}".encode(),
        "nothing": b"",
        "spaces": b"   ",
        "scheme alone": b"Bearer",
        "token alone": text.encode(),
        "another scheme": f"Digest {text}".encode(),
        "token as user name": b"Basic " + base64.b64encode(f"{text}:".encode()),
        "no base64": b"Basic !!!!",
        "base64 without padding": b"Basic YQ",
        "no colon": b"Basic " + base64.b64encode(text.encode()),
        "second colon": b"Basic " + base64.b64encode(f"a:b:{text}".encode()),
        "not UTF-8": b"Bearer \xff\xfe",
        "wide digits": "Bearer mlt_０１２３４５６７８９abcdef".encode() + text[20:].encode(),
        "NUL in the password": b"Basic " + base64.b64encode(f"a:{text}\0".encode()),
        "two tokens": f"Bearer {text}, Bearer {text}".encode(),
        "huge": b"Bearer " + b"x" * 40_000,
        "a little too long": b"Bearer " + text.encode() + b" " * MAX_HEADER_BYTES + b"x",
    }


def test_what_is_no_valid_token_is_refused_with_and_without_the_flag(
    closed: RunningApi, ann: MadeToken, api: RunningApi
) -> None:
    for server in (closed, api):
        for name, value in _bad_headers(ann).items():
            response = _raw_get(server.url, [value])
            assert response.status_code == 401, name
            _assert_unauthenticated(response)
            assert ann.text not in response.text, name
            assert ann.text[-43:] not in response.text, name


def test_several_authorization_headers_are_refused_even_if_all_are_valid(closed: RunningApi, ann: MadeToken) -> None:
    _assert_unauthenticated(_raw_get(closed.url, [f"Bearer {ann.text}".encode()] * 2))


def _raw_get(url: str, authorizations: list[bytes]) -> httpx.Response:
    """GET with headers that an ordinary client would not send."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.putrequest("GET", SEARCH)
        for value in authorizations:
            connection.putheader("Authorization", value)
        connection.endheaders()
        answer = connection.getresponse()
        return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())
    finally:
        connection.close()


def test_a_line_break_in_a_header_adds_no_header(closed: RunningApi, ann: MadeToken) -> None:
    host, port = urlsplit(closed.url).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(
            f"GET {SEARCH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"X: a\nAuthorization: Bearer {ann.text}\0\r\n\r\n".encode()
        )
        status = raw.makefile("rb").readline()
    assert b" 400 " in status or b" 401 " in status


def test_a_header_can_neither_name_the_actor_nor_unname_it(closed: RunningApi, ann: MadeToken) -> None:
    headers = ann.bearer | {"X-Mltrail-Actor": "root"}
    body = {"experiment_id": "0", "user_id": "root", "start_time": 1}
    response = closed.client.post(closed.url + "/api/2.0/mlflow/runs/create", json=body, headers=headers)
    run_id = response.json()["run"]["info"]["run_id"]
    assert _sender_of_run(closed, run_id) == ("ann", "verified")


def _sender_of_run(server: RunningApi, run_id: str) -> tuple[str, str]:
    query = select(tables.runs.c.actor, tables.runs.c.actor_known).where(tables.runs.c.run_id == run_id)
    found: list[tuple[str, str]] = []

    def is_there() -> bool:
        with server.read_model.reading() as connection:
            found[:] = [(actor, known) for actor, known in connection.execute(query)]
        return bool(found)

    wait_until(is_there)
    return found[0]


def _frozen_run(run_id: str) -> tuple[Record, bytes]:
    record = Record(
        partition_of(run_id),
        new_producer_id(),
        1,
        Actor("whoever"),
        (RunCreated(now_us(), run_id, "0", "r", "whoever", now_us()),),
    )
    return record, freeze_record(record)


def test_a_record_that_the_sdk_froze_is_attested_and_sent_again_counts_once(closed: RunningApi, ann: MadeToken) -> None:
    run_id = new_run_id()
    record, frozen = _frozen_run(run_id)
    for _ in range(2):
        response = closed.client.post(
            closed.url + "/api/v1/records", content=msgpack.packb([frozen]), headers=ann.bearer
        )
        assert response.status_code == 200, response.text
    assert _sender_of_run(closed, run_id) == (f"token:{ann.token_id}", "verified")
    places = response.json()["appended"][0]
    entry = closed.log.read(record.partition, after=places["index"] - 1)[0]
    kept = decode_record(entry.frozen)
    assert kept.attestation is not None
    assert (kept.attestation.how, kept.attestation.reference) == ("token", ann.token_id)
    assert kept.actor == Actor("whoever", "claimed")
    with closed.read_model.reading() as connection:
        assert not connection.execute(select(tables.rejections)).all()


def test_without_a_token_an_open_server_attests_nothing(api: RunningApi) -> None:
    run_id = new_run_id()
    response = api.client.post(api.url + "/api/v1/records", content=msgpack.packb([_frozen_run(run_id)[1]]))
    assert response.status_code == 200
    assert _sender_of_run(api, run_id) == ("whoever", "claimed")
    assert api.client.get(api.url + "/api/v1/identity").json() == {"user": None, "known": "claimed", "token_id": None}


def test_a_revocation_elsewhere_takes_effect_within_the_bound(closed: RunningApi) -> None:
    token = make_token(closed.log, "bob")
    assert closed.client.get(closed.url + SEARCH, headers=token.bearer).status_code == 200
    revoke_token(closed.log, token)
    revoked_s = time.monotonic()
    wait_until(lambda: closed.client.get(closed.url + SEARCH, headers=token.bearer).status_code == 401)
    assert time.monotonic() - revoked_s < REMEMBERED_S + 1


def test_tokens_are_made_and_revoked_while_no_projector_runs(closed: RunningApi) -> None:
    closed.stop_projector()
    try:
        token, other = make_token(closed.log, "bob"), make_token(closed.log, "bob")
        revoke_token(closed.log, other)
        assert closed.client.get(closed.url + "/api/v1/identity", headers=token.bearer).json()["user"] == "bob"
        answer = closed.client.get(closed.url + "/api/v1/identity", headers=other.bearer)
        _assert_unauthenticated(answer)
        assert "revoked" in answer.json()["message"]
    finally:
        closed.start_projector()


def test_a_token_ends_at_its_time_though_it_is_remembered(closed: RunningApi) -> None:
    token = make_token(closed.log, "bob", expires_us=now_us() + 1_000_000)
    assert closed.client.get(closed.url + SEARCH, headers=token.bearer).status_code == 200
    wait_until(lambda: now_us() > 0 and closed.client.get(closed.url + SEARCH, headers=token.bearer).status_code == 401)
    assert "expired" in closed.client.get(closed.url + SEARCH, headers=token.bearer).json()["message"]


def test_over_the_api_a_user_makes_lists_and_revokes_own_tokens_only(closed: RunningApi) -> None:
    eve, zoe = make_token(closed.log, "eve"), make_token(closed.log, "zoe")
    url = closed.url + "/api/v1/tokens"
    made = closed.client.post(url, json={"label": "ci"}, headers=eve.bearer)
    assert made.status_code == 200, made.text
    assert made.headers["cache-control"] == "no-store"
    second = MadeToken(made.json()["token_id"], made.json()["token"])
    listed = closed.client.get(url, headers=second.bearer)
    assert {token["token_id"] for token in listed.json()["tokens"]} == {eve.token_id, second.token_id}
    assert second.text not in listed.text
    assert "sha256" not in listed.text

    assert closed.client.delete(f"{url}/{eve.token_id}", headers=zoe.bearer).status_code == 404
    assert closed.client.get(closed.url + SEARCH, headers=eve.bearer).status_code == 200

    revoked = closed.client.delete(f"{url}/{second.token_id}", headers=second.bearer)
    assert revoked.json()["is_valid"] is False
    _assert_unauthenticated(closed.client.get(closed.url + SEARCH, headers=second.bearer))  # at once, here
    assert closed.client.delete(f"{url}/{second.token_id}", headers=eve.bearer).json() == revoked.json()


def test_nobody_gets_a_token_for_nothing_even_where_none_is_required(api: RunningApi) -> None:
    url = api.url + "/api/v1/tokens"
    _assert_unauthenticated(api.client.post(url, json={}))
    _assert_unauthenticated(api.client.get(url))
    _assert_unauthenticated(api.client.delete(url + "/0123456789abcdef"))


@pytest.mark.parametrize(
    "body",
    [
        {"user": "root"},
        {"label": "x" * 251},
        {"label": "a\0b"},
        {"label": "\ud800"},
        {"label": 5},
        {"expires_us": 1},
        {"expires_us": -1},
        {"expires_us": 1e300},
        {"expires_us": True},
        {"expires_us": 2**63},
        [],
        None,
    ],
)
def test_a_senseless_wish_for_a_token_is_400(closed: RunningApi, ann: MadeToken, body: object) -> None:
    headers = ann.bearer | {"Content-Type": "application/json"}
    response = closed.client.post(closed.url + "/api/v1/tokens", content=json.dumps(body), headers=headers)
    assert response.status_code == 400, response.text
    assert response.json()["error_code"] == "INVALID_PARAMETER_VALUE"


def test_a_page_of_another_site_cannot_use_the_password_that_a_browser_keeps(
    closed: RunningApi, ann: MadeToken
) -> None:
    url, body = closed.url + "/api/2.0/mlflow/experiments/create", {"name": "forged"}
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200)):
        headers = _basic("ann", ann.text) | {"Sec-Fetch-Site": site}
        assert closed.client.post(url, json=body, headers=headers).status_code == status, site


def test_a_page_of_another_site_changes_nothing_where_no_token_is_asked_for(api: RunningApi) -> None:
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200)):
        headers = {"Sec-Fetch-Site": site, "Content-Type": "text/plain"}
        body = json.dumps({"name": f"sent by a {site} page"})
        answer = api.client.post(api.url + "/api/2.0/mlflow/experiments/create", content=body, headers=headers)
        assert answer.status_code == status, site
    assert api.client.get(api.url + SEARCH, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_nobody_makes_or_revokes_a_token_of_somebody_else_by_a_frozen_record(
    closed: RunningApi, ann: MadeToken
) -> None:
    bob, forged = make_token(closed.log, "bob"), new_token()
    for event in (
        TokenCreated(now_us(), forged.token_id, "bob", token_hash(forged.text), "", None),
        TokenRevoked(now_us(), bob.token_id),
        WebhookDeleted(now_us(), "a-webhook"),
    ):
        record = freeze_record(Record(CONTROL, new_producer_id(), 1, Actor("ann"), (event,)))
        answer = closed.client.post(closed.url + "/api/v1/records", content=msgpack.packb([record]), headers=ann.bearer)
        assert answer.status_code == 400, answer.text
        assert event.WIRE_NAME in answer.json()["message"]
    shown = {"Authorization": f"Bearer {forged.text}"}
    _assert_unauthenticated(closed.client.get(closed.url + "/api/v1/identity", headers=shown))
    assert closed.client.get(closed.url + "/api/v1/identity", headers=bob.bearer).json()["user"] == "bob"


def test_the_log_holds_no_secret(closed: RunningApi, ann: MadeToken) -> None:
    made = closed.client.post(closed.url + "/api/v1/tokens", json={}, headers=ann.bearer).json()
    secrets = [text[21:].encode() for text in (ann.text, made["token"])]
    kept = b"".join(entry.frozen for entry in closed.log.read(CONTROL, after=0, max_records=10_000))
    assert ann.token_id.encode() in kept
    for secret in secrets:
        assert secret not in kept
