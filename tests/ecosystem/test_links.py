"""The links that the stock client prints lead to the right page.

What follows `#` never reaches a server: a script in the page at `/` reads it. Its table of links is applied here as the
browser does it; that browsers run the script was looked at by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import httpx
import mlflow
import pytest

from tests.ecosystem.conftest import Tracking

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow's own
_ROW = re.compile(r"\[/(.+)/, \"(/[^\"]*)\"\],")
_PRINTED = re.compile(r"http://\S+")


@pytest.fixture
def browser(tracking: Tracking) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=tracking.url, follow_redirects=True, timeout=30) as client:
        yield client


def followed(browser: httpx.Client, link: str) -> httpx.Response:
    """Return the page that a browser ends on."""
    first = browser.get(link)
    assert first.status_code == 200
    fragment = f"#{urlsplit(link).fragment}"
    for pattern, page in _ROW.findall(first.text):
        if found := re.match(pattern.replace("\\/", "/"), fragment):
            return browser.get(found.expand(page.replace("$", "\\")))
    return first


def test_what_the_client_prints_at_the_end_of_a_run_is_its_page(
    tracking: Tracking, browser: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    with mlflow.start_run(run_name="a run to look at") as run:
        mlflow.log_metric("loss", 0.5)
    [of_run, of_experiment] = _PRINTED.findall(capsys.readouterr().out)
    assert of_run == f"{tracking.url}/#/experiments/{tracking.experiment_id}/runs/{run.info.run_id}"
    page = followed(browser, of_run)
    assert (page.status_code, page.url.path) == (200, f"/runs/{run.info.run_id}")
    assert "a run to look at" in page.text
    page = followed(browser, of_experiment)
    assert (page.status_code, page.url.path) == (200, f"/experiments/{tracking.experiment_id}")
    assert "a run to look at" in page.text
    assert followed(browser, f"{of_run}/artifacts/model?workspace=x").url.path == f"/runs/{run.info.run_id}"


def test_links_to_models_and_versions_are_their_pages(tracking: Tracking, browser: httpx.Client) -> None:
    name, hostile = "a model é", "<script>alert(1)</script>"
    run = tracking.client.create_run(tracking.experiment_id)
    tracking.client.create_registered_model(name, tags={"team": hostile}, description=hostile)
    for number in (1, 2):
        tracking.client.create_model_version(
            name, f"{run.info.artifact_uri}/model", run.info.run_id, description=f"try {number}"
        )
    tracking.client.set_registered_model_alias(name, "champion", "2")
    tracking.client.transition_model_version_stage(name, "2", "Production")
    page = followed(browser, f"{tracking.url}/#/models/{quote(name)}/versions/2")
    assert (page.status_code, page.url.path) == (200, f"/models/{name}/versions/2")
    for part in ("try 2", "@champion", "Production", f'href="/runs/{run.info.run_id}"'):
        assert part in page.text
    page = followed(browser, f"{tracking.url}/#/models/{quote(name)}")
    assert (page.status_code, page.url.path) == (200, f"/models/{name}")
    assert page.text.index("/versions/2") < page.text.index("/versions/1")
    assert hostile not in page.text
    page = followed(browser, f"{tracking.url}/#/models")
    assert page.url.path == "/models"
    assert name in page.text
    assert browser.get("/models/nobody").status_code == 404
    for missing in ("7", "x", "9" * 40):
        assert browser.get(f"/models/{quote(name)}/versions/{missing}").status_code == 404
