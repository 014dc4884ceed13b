"""What the registry said at each moment, against what MLflow's API said then; and the history of changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import pytest

from mltrail_api.v1.registry_moment import moment_us
from mltrail_core.clock import now_us
from mltrail_core.errors import Invalid
from mltrail_projector.rebuild import rebuild
from tests.api.running import RunningApi, running_api

pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated since 2.9.0:FutureWarning")  # MLflow would drop stages
Said = dict[str, Any]


class Watched:
    """A registry whose answers are written down after every change, with the moment they were given at."""

    def __init__(self, api: RunningApi) -> None:
        self.api = api
        self.client = mlflow.MlflowClient(api.url)
        self.said: list[tuple[int, str, Said | None]] = []

    def note(self, *names: str) -> int:
        """Write down what MLflow's API says about these models now; return the moment."""
        for name in names:
            answer = self.api.get("/registered-models/get", name=name)
            said = None if answer.status_code == 404 else answer.json()["registered_model"]
            if said is not None:
                found = self.api.get("/model-versions/search", filter=f"name = '{name}'").json()
                numbers = [version["version"] for version in found.get("model_versions", [])]
                said["versions"] = {
                    number: self.api.get("/model-versions/get", name=name, version=number).json()["model_version"]
                    for number in numbers
                }
            self.said.append((now_us(), name, said))
        return self.said[-1][0]

    def v1(self, path: str, **params: object) -> Any:
        """Return the answer of `/api/v1/registry/…`; None for 404."""
        response = self.api.client.get(f"{self.api.url}/api/v1/registry/{path}", params=params)  # type: ignore[arg-type]
        if response.status_code == 404:
            assert response.json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"
            return None
        assert response.status_code == 200, response.text
        return response.json()

    def as_mlflow(self, name: str, at_us: int) -> Said | None:
        """Return what the as-of look-ups say, in the words of MLflow's API."""
        model = self.v1(name, as_of=at_us)
        if model is None:
            return None
        aliases = [{"alias": alias, "version": str(number)} for alias, number in model["aliases"].items()]
        versions = {str(number): self.v1(f"{name}/versions/{number}", as_of=at_us) for number in model["versions"]}
        for stage, numbers in model["stages"].items():
            found = self.v1(f"{name}/stages/{stage}", as_of=at_us)
            assert [version["version"] for version in found["versions"]] == numbers
        for alias, number in model["aliases"].items():
            assert self.v1(f"{name}/aliases/{alias}", as_of=at_us) == versions[str(number)]
        said = {
            "name": model["name"],
            "description": model["description"] or None,
            "tags": [{"key": key, "value": value} for key, value in model["tags"].items()],
            "aliases": aliases,
            "creation_timestamp": model["created_us"] // 1000,
            "last_updated_timestamp": model["updated_us"] // 1000,
            "user_id": model["user"],
            "versions": {number: self._version(version) for number, version in versions.items()},
        }
        return {key: value for key, value in said.items() if value not in (None, [])}

    def _version(self, version: Said) -> Said:
        said = {
            "name": version["name"],
            "version": str(version["version"]),
            "current_stage": version["stage"],
            "description": version["description"],
            "source": version["source"],
            "run_id": version["run_id"] or "",
            "run_link": version["run_link"] or "",
            "status": "READY",
            "tags": [{"key": key, "value": value} for key, value in version["tags"].items()],
            "aliases": version["aliases"],
            "creation_timestamp": version["created_us"] // 1000,
            "last_updated_timestamp": version["updated_us"] // 1000,
            "user_id": version["user"],
        }
        return {key: value for key, value in said.items() if value not in (None, [])}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A registry that went through everything: staged, re-staged, aliased, renamed, deleted, begun again."""
    folder: Path = tmp_path_factory.mktemp("registry")
    with pytest.MonkeyPatch.context() as patch, running_api(folder) as api:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        watched = Watched(api)
        client = watched.client
        steps: list[Callable[[], object]] = [
            lambda: client.create_registered_model("iris", {"team": "vision"}, "Tells flowers apart."),
            lambda: client.create_model_version("iris", "s3://bucket/1", tags={"k": "v"}, description="first"),
            lambda: client.create_model_version("iris", "s3://bucket/2"),
            lambda: client.create_model_version("iris", "s3://bucket/3", run_link="http://link"),
            lambda: client.transition_model_version_stage("iris", "1", "Production"),
            lambda: client.set_registered_model_alias("iris", "champion", "1"),
            lambda: client.transition_model_version_stage("iris", "2", "Staging"),
            lambda: client.transition_model_version_stage("iris", "2", "Production", archive_existing_versions=True),
            lambda: client.set_registered_model_alias("iris", "champion", "2"),
            lambda: client.set_model_version_tag("iris", "1", "k", "w"),
            lambda: client.delete_model_version_tag("iris", "1", "k"),
            lambda: client.set_registered_model_tag("iris", "team", "flowers"),
            lambda: client.delete_registered_model_tag("iris", "team"),
            lambda: client.update_registered_model("iris", "Other words."),
            lambda: client.update_model_version("iris", "1", "once the first"),
            lambda: client.rename_registered_model("iris", "flowers"),
            lambda: client.transition_model_version_stage("flowers", "3", "Production"),
            lambda: client.delete_model_version("flowers", "2"),
            lambda: client.create_registered_model("iris"),
            lambda: client.create_model_version("iris", "s3://bucket/again"),
            lambda: client.transition_model_version_stage("iris", "1", "Production"),
            lambda: client.delete_registered_model("flowers"),
            lambda: client.delete_registered_model("iris"),
            lambda: client.create_registered_model("iris", description="the third of this name"),
        ]  # fmt: skip
        watched.note("iris", "flowers")
        for step in steps:
            step()
            watched.note("iris", "flowers")
        yield watched


def assert_all_as_said(watched: Watched) -> None:
    for at_us, name, said in watched.said:
        expected = None if said is None else {key: value for key, value in said.items() if key != "latest_versions"}
        assert watched.as_mlflow(name, at_us) == expected, (at_us, name)


def test_as_of_answers_are_what_the_api_said_at_each_of_those_moments(watched: Watched) -> None:
    assert len({str(said) for _, _, said in watched.said}) > 20
    assert_all_as_said(watched)


def test_a_rebuild_gives_the_same_registry_now_and_at_every_moment(watched: Watched) -> None:
    report = rebuild(watched.api.log, watched.api.read_model)
    assert report.is_equal
    assert_all_as_said(watched)


def test_which_version_was_production_then(watched: Watched) -> None:
    changes = watched.v1("flowers/history", kind="stage")["changes"]
    to_production = [change for change in reversed(changes) if change["after"] == "Production"]
    assert [(change["version"], change["before"], change["name"]) for change in to_production] == [
        (1, "None", "iris"),
        (2, "Staging", "iris"),
        (3, "None", "flowers"),
    ]
    first, second, third = (change["appended_us"] for change in to_production)

    def in_production(name: str, at_us: int | str) -> list[int]:
        return [version["version"] for version in watched.v1(f"{name}/stages/production", as_of=at_us)["versions"]]

    assert in_production("iris", first - 1) == []
    assert in_production("iris", first) == in_production("iris", second - 1) == [1]
    assert in_production("iris", second) == [2]
    assert in_production("flowers", third) == [3, 2]
    as_time = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=second)).isoformat()
    assert in_production("iris", as_time) == [2]


def test_every_change_keeps_who_did_it_and_what_was_before(watched: Watched) -> None:
    changes = watched.v1("flowers/history", max_results=1000)["changes"]
    told = [
        (change["version"], change["kind"], change["key"], change["before"], change["after"])
        for change in reversed(changes)
        if change["kind"] in ("alias", "renamed", "deleted")
    ]
    assert told == [
        (1, "alias", "champion", None, "1"),
        (2, "alias", "champion", "1", "2"),
        (None, "renamed", None, "iris", "flowers"),
        (2, "deleted", None, "Production", None),
        (2, "alias", "champion", "2", None),
        (None, "deleted", None, "flowers", None),
    ]
    archived = [change for change in changes if change["after"] == "Archived"]
    assert [(change["version"], change["before"]) for change in archived] == [(1, "Production")]
    assert {(change["actor"], change["actor_known"]) for change in changes} == {("anonymous", "claimed")}
    times = [change["appended_us"] for change in changes]
    assert times == sorted(times, reverse=True)


def test_the_actor_of_a_change_is_the_one_who_asked_for_it(watched: Watched) -> None:
    api = watched.api
    body = {"name": "owned", "description": "d"}
    url = f"{api.url}/api/2.0/mlflow/registered-models"
    api.client.post(f"{url}/create", json={"name": "owned"}, headers={"X-Mltrail-Actor": "ann"})
    api.client.patch(f"{url}/update", json=body, headers={"X-Mltrail-Actor": "bob"})
    newest, oldest = watched.v1("owned/history")["changes"]
    assert (oldest["actor"], newest["actor"], newest["kind"]) == ("ann", "bob", "description")
    assert (watched.v1("owned")["user"], newest["before"], newest["after"]) == ("ann", None, "d")


def test_a_name_that_was_given_again_tells_the_history_of_all_its_models(watched: Watched) -> None:
    changes = watched.v1("iris/history", kind="created", max_results=1000)["changes"]
    models = [change["registry_id"] for change in changes if change["version"] is None]
    assert len(models) == len(set(models)) == 3
    assert watched.v1("flowers") is None
    assert watched.v1("iris")["description"] == "the third of this name"
    assert watched.v1("nobody/history") is None


def test_a_history_is_read_in_pages(watched: Watched) -> None:
    whole = watched.v1("flowers/history", max_results=1000)
    assert whole["next_page_token"] is None
    pages, token = [], ""
    while token is not None:
        page = watched.v1("flowers/history", max_results=4, page_token=token)
        pages += page["changes"]
        token = page["next_page_token"]
    assert pages == whole["changes"]
    of_one = watched.v1("flowers/history", version=1, max_results=1000)["changes"]
    assert of_one == [change for change in whole["changes"] if change["version"] == 1]
    middle = whole["changes"][5]["appended_us"]
    until = watched.v1("flowers/history", as_of=middle, max_results=1000)["changes"]
    assert until == [change for change in whole["changes"] if change["appended_us"] <= middle]


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        ("iris", {"as_of": "yesterday"}, 400),
        ("iris", {"as_of": "1700000000"}, 400),
        ("iris", {"as_of": "9" * 19}, 400),
        ("iris", {"as_of": "1990-01-01"}, 404),
        ("iris", {"as_of": ""}, 400),
        ("iris\0", {}, 400),
        ("nobody", {}, 404),
        ("iris/versions/99", {}, 404),
        ("iris/versions/one", {}, 400),
        ("iris/versions/" + "9" * 30, {}, 404),
        ("iris/aliases/nobody", {}, 404),
        ("iris/aliases/latest", {}, 404),
        ("iris/history", {"page_token": "1.2"}, 400),
        ("iris/history", {"page_token": f"{'9' * 19}.0.0"}, 400),
        ("iris/history", {"kind": "mood"}, 400),
        ("iris/history", {"max_results": 0}, 400),
        ("iris/history", {"version": 0}, 400),
    ],
)
def test_a_look_up_that_makes_no_sense_is_refused(
    watched: Watched, path: str, params: dict[str, str], status: int
) -> None:
    url = f"{watched.api.url}/api/v1/registry/{path}".replace("\0", "%00")
    assert watched.api.client.get(url, params=params).status_code == status


@pytest.mark.parametrize(
    ("text", "at_us"),
    [
        ("1767225600000001", 1_767_225_600_000_001),
        ("2026-01-01", 1_767_225_600_000_000),
        ("2026-01-01T00:00:00.000001Z", 1_767_225_600_000_001),
        ("2026-01-01 00:00:00", 1_767_225_600_000_000),
        ("2026-01-01T02:00:00+02:00", 1_767_225_600_000_000),
        ("2026-01-01T02:00:00 02:00", 1_767_225_600_000_000),
    ],
)
def test_a_moment_is_a_time_or_a_number_of_microseconds(text: str, at_us: int) -> None:
    assert moment_us(text) == at_us


def test_a_moment_in_seconds_is_taken_for_a_mistake() -> None:
    with pytest.raises(Invalid, match="µs since 1970"):
        moment_us("1767225600")
