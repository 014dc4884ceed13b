"""The plain pages at `/`, fetched from a real server that the SDK logged to."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from mltrail_cli.server.embedded import embedded_server
from mltrail_cli.settings import Settings
from tests.servers import free_port

_HOSTILE = "<script>alert(1)</script>\"'&"
_SCRIPT = """
import math, sys, mltrail
mltrail.init(sys.argv[1], record_code=False, record_environment=False)
hostile = sys.argv[2]
with mltrail.start_run(experiment=hostile, name="first " + hostile) as run:
    run.log_params({"lr": 0.1, "note": hostile})
    for step in range(5):
        run.log_metric("loss", 1 / (step + 1), step=step)
    run.log_metric("odd", math.nan)
    run.set_tag("team", hostile)
    run.log_param("lr", 0.2)
    open("a b.txt", "w").write("all is well")
    run.log_artifact("a b.txt", "reports")
with mltrail.start_run(experiment=hostile, name="second") as other:
    other.log_metric("loss", 0.01)
print(run.id)
"""
_DEADLINE_S = 20.0


@dataclass(frozen=True, slots=True)
class Pages:
    """A server with one experiment of two runs, all of whose texts are hostile."""

    client: httpx.Client
    experiment_id: str
    run_id: str

    def text(self, path: str, **query: str) -> str:
        """Return the page at `path`, which is there."""
        answer = self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.text


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """The pages of a server in this process."""
    folder = tmp_path_factory.mktemp("pages")
    with embedded_server(Settings(data=folder / "data", port=free_port())) as server:
        url = server.address.url
        with httpx.Client(base_url=url, timeout=30) as client:
            run_id = _log_to(url, folder)
            give_up = time.monotonic() + _DEADLINE_S
            while (found := client.get("/api/2.0/mlflow/runs/get", params={"run_id": run_id})).status_code != 200:
                assert time.monotonic() < give_up, found.text
            yield Pages(client, found.json()["run"]["info"]["experiment_id"], run_id)


def _log_to(url: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, url, _HOSTILE],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=folder,
    )
    return done.stdout.strip()


def test_experiments_lead_to_their_runs_and_those_to_the_run(pages: Pages) -> None:
    assert f'href="/experiments/{pages.experiment_id}"' in pages.text("/")
    runs = pages.text(f"/experiments/{pages.experiment_id}")
    assert f'href="/runs/{pages.run_id}"' in runs
    assert "second" in runs
    assert "0.01" in runs


def test_a_run_shows_all_that_belongs_to_it(pages: Pages) -> None:
    text = pages.text(f"/runs/{pages.run_id}")
    for part in ("finished", "NaN", "0.2", "reports/a b.txt", "missing none", "params never change", "note"):
        assert part in text


def test_an_artifact_is_downloaded_by_its_link(pages: Pages) -> None:
    link = re.search(r'href="(/get-artifact[^"]+)"', pages.text(f"/runs/{pages.run_id}"))
    assert link is not None
    answer = pages.client.get(link[1].replace("&amp;", "&"))
    assert (answer.status_code, answer.text) == (200, "all is well")


def test_nothing_that_was_logged_is_taken_for_html(pages: Pages) -> None:
    filter_string = f"params.note = '{_HOSTILE.replace(chr(39), '')}'"
    for text in (
        pages.text("/"),
        pages.text(f"/experiments/{pages.experiment_id}"),
        pages.text(f"/experiments/{pages.experiment_id}", filter=filter_string),
        pages.text(f"/runs/{pages.run_id}"),
    ):
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;" in text
    policy = pages.client.get("/").headers["content-security-policy"]
    assert "script-src 'sha256-" in policy
    assert "default-src 'none'" in policy


def test_runs_are_filtered_and_sorted(pages: Pages) -> None:
    path = f"/experiments/{pages.experiment_id}"
    found = pages.text(path, filter="metrics.loss < 0.1")
    assert "second" in found
    assert pages.run_id not in found
    ascending = pages.text(path, order_by="metrics.`loss` ASC")
    assert ascending.index("second") < ascending.index(f"/runs/{pages.run_id}")
    descending = pages.text(path, order_by="metrics.`loss` DESC")
    assert descending.index(f"/runs/{pages.run_id}") < descending.index(">second<")


def test_a_bad_filter_is_explained_beside_the_box(pages: Pages) -> None:
    answer = pages.client.get(f"/experiments/{pages.experiment_id}", params={"filter": "metrics.loss >> 1"})
    assert answer.status_code == 400
    assert "column 14" in answer.text
    assert 'value="metrics.loss &gt;&gt; 1"' in answer.text
    token = pages.client.get(f"/experiments/{pages.experiment_id}", params={"page_token": "x"})
    assert token.status_code == 400
    assert "begin again without a token" in token.text


def test_what_is_not_there_is_a_page_that_says_so(pages: Pages) -> None:
    for path in ("/runs/nope", "/experiments/4711", "/experiments/nope", "/runs/%00"):
        answer = pages.client.get(path)
        assert answer.status_code in (400, 404)
        assert "Traceback" not in answer.text
    assert "There is no run nope" in pages.client.get("/runs/nope").text


def test_links_of_the_stock_client_land_on_the_run(pages: Pages) -> None:
    answer = pages.client.get(f"/experiments/{pages.experiment_id}/runs/{pages.run_id}")
    assert (answer.status_code, answer.headers["location"]) == (307, f"/runs/{pages.run_id}")
    assert "location.hash.match" in pages.text("/")  # `/#/experiments/…/runs/…` never reaches the server
