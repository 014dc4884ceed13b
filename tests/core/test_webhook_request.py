"""What webhooks are sent, where they may be sent, and the file of what signs them."""

from __future__ import annotations

import base64
import ipaddress
import socket
import stat
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mltrail_core.errors import Invalid, Unavailable
from mltrail_core.webhook_request import NoReply, post, webhook_body, webhook_headers
from mltrail_core.webhook_rules import webhook_name_fault
from mltrail_core.webhook_secrets import WebhookSecrets
from mltrail_core.webhook_target import TargetRules, connect, is_public, parse_target, refuse_target
from tests.webhook_receiver import Received, receiving

LOCAL = TargetRules(("http",), allows_private=True)
PUBLIC = TargetRules(("https", "http"))


def test_the_signature_is_the_one_of_standard_webhooks() -> None:
    body = webhook_body("model_version_tag.set", {"name": "iris", "value": "ü"}, 1_700_000_000_123_456)
    assert body == (
        '{"entity": "model_version_tag", "action": "set", "timestamp": "2023-11-14T22:13:20.123456+00:00", '
        '"data": {"name": "iris", "value": "\\u00fc"}}'
    )
    headers = webhook_headers(body, "d-1", 1_700_000_000, "s3cret")
    assert headers["X-MLflow-Timestamp"] == "1700000000"
    assert Received("/", headers, body.encode()).is_signed_with("s3cret")
    assert len(base64.b64decode(headers["X-MLflow-Signature"].removeprefix("v1,"))) == 32
    assert "X-MLflow-Signature" not in webhook_headers(body, "d-1", 1, None)


def test_a_request_arrives_as_it_was_made_and_its_answer_comes_back() -> None:
    with receiving() as receiver:
        receiver.answers, receiver.answer_headers = [429], {"Retry-After": "7"}
        reply = post(f"{receiver.url}?a=b", "{}", {"X-A": "b"}, LOCAL)
        assert (reply.status_code, reply.body, reply.retry_after_s) == (429, "fine", 7.0)
        receiver.answer_headers = {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}
        assert post(receiver.url, "{}", {}, LOCAL).retry_after_s is None
    assert [(request.path, request.body) for request in receiver.received] == [("/hook?a=b", b"{}"), ("/hook", b"{}")]
    assert receiver.received[0].headers["X-A"] == "b"


def test_who_does_not_answer_whole_in_time_is_cut_off_however_much_he_trickles() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def trickle() -> None:
            connected, _ = server.accept()
            with connected:
                try:
                    while True:
                        connected.sendall(b"HTTP/1.1 200 OK\r\nX-More: to come\r\n"[:1])
                        is_over.wait(0.01)
                except OSError:
                    return

        is_over = threading.Event()
        thread = threading.Thread(target=trickle)
        thread.start()
        with pytest.raises(NoReply, match=r"no answer within 0\.3 s"):
            post(f"http://127.0.0.1:{server.getsockname()[1]}/", "{}", {}, LOCAL, timeout_s=0.3)
        thread.join()


def test_a_request_can_be_cancelled_and_nobody_to_ask_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with pytest.raises(NoReply, match="cancelled"):
            post(url, "{}", {}, LOCAL, is_cancelled=lambda: True)
    with pytest.raises(NoReply, match="ConnectionRefusedError"):
        post(url, "{}", {}, LOCAL)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "  ",
        "example.com/hook",
        "ftp://example.com",
        "http://example.com",
        "https://",
        "https:///hook",
        "https://[::1",
        "https://example.com:99999",
        "https://example.com/a b",
        "https://example.com/a\r\nX-Evil: 1",
    ],
)
def test_what_is_no_url_that_webhooks_may_call_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        parse_target(url, TargetRules())


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "[::1]", "0.0.0.0", "2130706433"]
)
def test_what_only_the_server_reaches_is_refused_before_anybody_connects(host: str) -> None:
    with pytest.raises(Invalid, match="non-public IP address"):
        refuse_target(f"https://{host}/hook", PUBLIC)
    with pytest.raises(Invalid, match="non-public IP address"):
        connect(urlsplit(f"http://{host}:1/hook"), PUBLIC, 1.0)
    refuse_target(f"http://{host}/hook", LOCAL)


def test_a_name_that_leads_elsewhere_a_moment_later_is_checked_where_it_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["93.184.216.34", "127.0.0.1"])

    def resolve(host: str, port: int, **_: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    refuse_target("https://rebinding.example.com/", PUBLIC)
    with pytest.raises(Invalid, match=r"resolves to 127\.0\.0\.1"):
        post("https://rebinding.example.com/", "{}", {}, PUBLIC)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("2606:4700::1111", True),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("::127.0.0.1", False),
        ("::ffff:0:127.0.0.1", False),
        ("64:ff9b:1::7f00:1", False),
        ("192.0.0.8", False),
        ("2002:808:808::", True),
    ],
)
def test_public_is_what_everybody_reaches_also_when_ipv6_carries_ipv4(address: str, expected: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is expected


def test_secrets_are_kept_by_id_for_their_owner_only_and_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "secrets.json"
    secrets = WebhookSecrets(file)
    first, second = secrets.put("one"), WebhookSecrets(file).put("two")
    assert (secrets.get(first), secrets.get(second), secrets.get("nobody")) == ("one", "two", None)
    assert {stat.S_IMODE(kept.stat().st_mode) for kept in file.parent.iterdir()} == {0o600}
    secrets.remove(first)
    secrets.remove(first)
    assert (secrets.get(first), secrets.get(second)) == (None, "two")


def test_many_who_keep_secrets_at_once_lose_none(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    kept: dict[str, str] = {}

    def keep(number: int) -> None:
        for n in range(5):
            kept[WebhookSecrets(file).put(f"{number}.{n}")] = f"{number}.{n}"

    threads = [threading.Thread(target=keep, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept) == 20
    assert {secret_id: WebhookSecrets(file).get(secret_id) for secret_id in kept} == kept


def test_where_no_secret_can_be_kept_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="MLTRAIL_WEBHOOK_SECRETS"):
        WebhookSecrets(None).put("one")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(Unavailable, match="MLTRAIL_WEBHOOK_SECRETS"):
        WebhookSecrets(tmp_path / "file" / "secrets.json").put("one")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(Unavailable, match="can't be read"):
        WebhookSecrets(tmp_path / "broken.json").get("one")


@pytest.mark.parametrize("name", ["a", "A.b-c_d", "9", "x" * 63])
def test_names_of_webhooks_are_those_of_mlflow(name: str) -> None:
    assert webhook_name_fault(name) is None


@pytest.mark.parametrize("name", ["", "-a", "a-", "a b", "ä", "x" * 64, "a\n"])
def test_other_names_are_refused(name: str) -> None:
    assert webhook_name_fault(name) is not None
