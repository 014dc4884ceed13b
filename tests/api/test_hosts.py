"""What a server is called by: a name of a stranger's own brings nobody's browser in."""

from __future__ import annotations

import httpx
import pytest
from starlette.types import Scope

from mltrail_api.identity.hosts import Hosts
from mltrail_core.errors import Forbidden
from tests.api.running import RunningApi

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=5"


def scope(host: str, server: str = "127.0.0.1") -> Scope:
    return {"type": "http", "server": (server, 5000), "headers": [(b"host", host.encode())]}


@pytest.mark.parametrize(
    "host", ["localhost:5000", "LOCALHOST", "127.0.0.1:5000", "[::1]:5000", "192.168.1.7", "mltrail.localhost:81", ""]
)
def test_a_local_server_answers_to_its_local_names_and_addresses(host: str) -> None:
    Hosts().refuse_unknown(scope(host))


@pytest.mark.parametrize("host", ["stranger.example:5000", "stranger.example", "localhost.stranger.example", "[zz]:1"])
@pytest.mark.parametrize("server", ["127.0.0.1", "::1", "127.0.1.1"])
def test_a_local_server_answers_to_no_other_name(host: str, server: str) -> None:
    hosts = Hosts()
    for _ in range(2):  # the second time it is remembered
        with pytest.raises(Forbidden, match="--allowed-hosts"):
            hosts.refuse_unknown(scope(host, server))


def test_a_server_in_a_network_answers_to_any_name_unless_names_are_given() -> None:
    Hosts().refuse_unknown(scope("tracker.lan", "10.0.0.3"))
    with pytest.raises(Forbidden, match=r"tracker\.lan"):
        Hosts(["*.example.org"]).refuse_unknown(scope("tracker.lan", "10.0.0.3"))


def test_names_that_are_given_and_the_public_one_are_answered_to() -> None:
    hosts = Hosts(["*.example.org", "Tracker.lan"], "public.example.com")
    for host in ("a.example.org", "tracker.lan:80", "public.example.com"):
        hosts.refuse_unknown(scope(host))


def test_a_page_that_names_the_server_as_its_own_is_refused_while_others_are_served(api: RunningApi) -> None:
    stranger = {"Host": "stranger.example"}
    for path in (SEARCH, "/", "/api/v1/openapi.json"):
        assert httpx.get(f"{api.url}{path}", headers=stranger).status_code == 403
    assert httpx.get(f"{api.url}/health", headers=stranger).status_code == 200
    assert httpx.get(f"{api.url}{SEARCH}").status_code == 200
