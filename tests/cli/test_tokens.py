"""`mltrail tokens` and `mltrail server --require-auth`: the real commands, the stock client and the SDK."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import preloaded
from tests.cli.command import ServerCommand, environment, mltrail, server

SDK_SCRIPT = """
import mltrail
with mltrail.start_run(name="sdk") as run:
    run.log_param("a", 1)
print(mltrail.get_run(run.id).params["a"], run.id)
"""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A server that requires tokens, its data folder, and a token of ann."""

    command: ServerCommand
    data: Path
    token: str
    token_id: str


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    made = mltrail("tokens", "create", "ann", "--label", "laptop", "--json", "--data", folder / "data")
    assert made.status == 0, made.err
    answer = json.loads(made.out)
    with server(folder, "--workers", "2", MLTRAIL_REQUIRE_AUTH="1") as running:
        running.get("/health")
        running.get("/version")
        yield Guarded(running, folder / "data", answer["token"], answer["created"]["token_id"])
        assert answer["token"] not in running.out + running.err
        assert answer["token"][-43:] not in running.out + running.err


def _mlflow(folder: Path, **variables: str) -> str:
    env = environment(MLFLOW_HTTP_REQUEST_MAX_RETRIES="0", **variables)
    words = ["tests.cli.one_mlflow_run"]
    return _told(preloaded.run(preloaded.MLFLOW, words, folder=folder, env=env, timeout_s=120), variables)


def _sdk(**variables: str) -> str:
    words, env = [sys.executable, "-c", SDK_SCRIPT], environment(**variables)
    return _told(subprocess.run(words, env=env, capture_output=True, text=True, timeout=120), variables)


def _told(done: subprocess.CompletedProcess[str], variables: Mapping[str, str]) -> str:
    assert done.returncode == 0, done.stderr
    assert variables.get("MLTRAIL_TOKEN", "\0") not in done.stdout + done.stderr
    return done.stdout.strip().splitlines()[-1]


def _senders(guarded: Guarded, run_id: str) -> set[tuple[str, str]]:
    history = mltrail("runs", "history", run_id, "--json", "--data", guarded.data).json()
    changes = history["changes"]
    assert isinstance(changes, list)
    assert changes
    return {(change["actor"], change["known"]) for change in changes}


def test_the_stock_client_shows_its_token_as_bearer_or_as_a_password(guarded: Guarded, tmp_path: Path) -> None:
    uri = guarded.command.url
    shown = [
        {"MLFLOW_TRACKING_TOKEN": guarded.token},
        {"MLFLOW_TRACKING_USERNAME": "whoever", "MLFLOW_TRACKING_PASSWORD": guarded.token},
    ]
    for variables in shown:
        run_id = _mlflow(tmp_path, MLFLOW_TRACKING_URI=uri, **variables)
        assert _senders(guarded, run_id) == {("ann", "verified")}
    assert _mlflow(tmp_path, MLFLOW_TRACKING_URI=uri) == "UNAUTHENTICATED"
    wrong = guarded.token[:-1] + ("A" if guarded.token[-1] != "A" else "B")
    assert _mlflow(tmp_path, MLFLOW_TRACKING_URI=uri, MLFLOW_TRACKING_TOKEN=wrong) == "UNAUTHENTICATED"


def test_what_the_sdk_sends_is_verified_and_it_reads_with_the_token_too(guarded: Guarded) -> None:
    value, run_id = _sdk(MLTRAIL_URI=guarded.command.url, MLTRAIL_TOKEN=guarded.token).split()
    assert value == "1"
    assert _senders(guarded, run_id) == {("ann", "verified")}
    request = urllib.request.Request(f"{guarded.command.url}/runs/{run_id}")
    request.add_header("Authorization", "Basic " + base64.b64encode(f"x:{guarded.token}".encode()).decode())
    with urllib.request.urlopen(request, timeout=20) as page:
        text = page.read().decode()
    assert '>ann <span class="badge good">verified<' in text


def test_a_browser_is_asked_for_a_password(guarded: Guarded) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(guarded.command.url + "/", timeout=20)
    with refused.value as answer:
        assert answer.code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")


def test_tokens_are_listed_without_secrets_and_revoked(tmp_path: Path) -> None:
    where = ("--data", tmp_path / "data")
    made = json.loads(mltrail("tokens", "create", "bob", "--expires", "90d", "--json", *where).out)
    token_id = made["created"]["token_id"]
    shown = mltrail("tokens", "create", "zoe", *where)
    assert "mlt_" in shown.out
    revoked = mltrail("tokens", "revoke", token_id, *where)
    assert (revoked.status, "is revoked" in revoked.out) == (0, True)
    listed = mltrail("tokens", "list", "--json", *where)
    states = {token["user"]: token["state"] for token in json.loads(listed.out)["tokens"]}
    assert states == {"bob": "revoked", "zoe": "valid"}
    assert "mlt_" not in listed.out
    rebuilt = json.loads(mltrail("rebuild", "--json", *where).out)
    assert rebuilt["is_equal"] is True


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["create", ""], "empty"),
        (["create", "token:abc"], "token:"),
        (["create", "a\nb"], "control character"),
        (["create", "ann", "--expires", "soon"], "--expires 'soon'"),
        (["create", "ann", "--expires", "2001-01-01"], "has passed"),
        (["revoke", "0123456789abcdef"], "no token"),
    ],
)
def test_what_makes_no_sense_is_said(tmp_path: Path, words: list[str], complaint: str) -> None:
    ended = mltrail("tokens", *words, "--data", tmp_path / "data")
    assert ended.status == 1
    assert complaint in ended.err
    assert "Traceback" not in ended.err
