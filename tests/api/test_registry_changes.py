"""Renaming, describing, tagging, aliasing, staging and deleting in the registry, through the stock client."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import mlflow
import pytest

from mltrail_core.registry_rules import STOCK_STAGES
from tests.api.running import RunningApi

pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated since 2.9.0:FutureWarning")  # MLflow would drop stages


@pytest.fixture
def client(api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> mlflow.MlflowClient:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    return mlflow.MlflowClient(api.url)


@pytest.fixture
def name(client: mlflow.MlflowClient) -> str:
    """The name of a registered model with three versions."""
    name = str(client.create_registered_model(f"model {secrets.token_hex(4)}").name)
    for number in range(3):
        client.create_model_version(name, f"s3://bucket/{number}")
    return name


def error_code_of(act: Callable[[], object]) -> str:
    with pytest.raises(mlflow.MlflowException) as raised:
        act()
    return str(raised.value.error_code)


def stages_of(client: mlflow.MlflowClient, name: str) -> dict[str, str]:
    return {str(found.version): str(found.current_stage) for found in client.search_model_versions(f"name = '{name}'")}


def test_a_rename_takes_everything_along_and_frees_the_name(client: mlflow.MlflowClient, name: str) -> None:
    client.set_registered_model_tag(name, "team", "vision")
    client.set_model_version_tag(name, "2", "checked", "yes")
    client.set_registered_model_alias(name, "champion", "2")
    client.delete_model_version(name, "3")
    client.rename_registered_model(name, f"{name} new")
    renamed = client.get_registered_model(f"{name} new")
    assert (renamed.name, renamed.tags, renamed.aliases) == (f"{name} new", {"team": "vision"}, {"champion": "2"})
    version = client.get_model_version_by_alias(renamed.name, "champion")
    assert (version.name, version.version, version.tags) == (renamed.name, "2", {"checked": "yes"})
    assert version.last_updated_timestamp == renamed.last_updated_timestamp
    assert error_code_of(lambda: client.get_registered_model(name)) == "RESOURCE_DOES_NOT_EXIST"
    assert client.create_model_version(renamed.name, "s3://bucket/x").version == "4"
    assert client.create_registered_model(name).aliases == {}
    assert client.create_model_version(name, "s3://bucket/y").version == "1"


def test_a_rename_to_a_taken_name_is_refused_and_to_its_own_is_not(client: mlflow.MlflowClient, name: str) -> None:
    other = client.create_registered_model(f"{name} other").name
    assert error_code_of(lambda: client.rename_registered_model(name, other)) == "RESOURCE_ALREADY_EXISTS"
    client.rename_registered_model(name, name)
    assert len(stages_of(client, name)) == 3


def test_descriptions_are_changed_and_taken_away(api: RunningApi, client: mlflow.MlflowClient, name: str) -> None:
    described = client.update_registered_model(name, "Tells flowers apart.")
    assert described.description == client.get_registered_model(name).description == "Tells flowers apart."
    assert described.last_updated_timestamp >= described.creation_timestamp
    assert client.update_model_version(name, "2", "the second").description == "the second"
    assert client.get_model_version(name, "1").description == ""
    body = {"name": name, "version": "2"}
    answer = api.client.patch(f"{api.url}/api/2.0/mlflow/model-versions/update", json=body).json()
    assert "description" not in answer["model_version"]


def test_tags_are_set_replaced_and_deleted(client: mlflow.MlflowClient, name: str) -> None:
    for value in ("one", "two"):
        client.set_registered_model_tag(name, "team", value)
        client.set_model_version_tag(name, "1", "state", value)
    assert client.get_registered_model(name).tags == {"team": "two"}
    assert client.get_model_version(name, "1").tags == {"state": "two"}
    for _ in range(2):  # deleting what is not there is no error
        client.delete_registered_model_tag(name, "team")
        client.delete_model_version_tag(name, "1", "state")
    assert (client.get_registered_model(name).tags, client.get_model_version(name, "1").tags) == ({}, {})


def test_an_alias_moves_between_versions_and_goes_with_its_version(client: mlflow.MlflowClient, name: str) -> None:
    client.set_registered_model_alias(name, "champion", "1")
    client.set_registered_model_alias(name, "champion", "2")
    client.set_registered_model_alias(name, "best", "2")
    assert client.get_model_version_by_alias(name, "champion").aliases == ["best", "champion"]
    assert client.get_registered_model(name).aliases == {"best": "2", "champion": "2"}
    client.delete_registered_model_alias(name, "best")
    client.delete_registered_model_alias(name, "best")
    assert error_code_of(lambda: client.get_model_version_by_alias(name, "best")) == "INVALID_PARAMETER_VALUE"
    client.delete_model_version(name, "2")
    assert client.get_registered_model(name).aliases == {}
    assert client.get_model_version_by_alias(name, "latest").version == "3"


def test_stages_change_and_others_are_archived(client: mlflow.MlflowClient, name: str) -> None:
    client.transition_model_version_stage(name, "1", "production")
    client.transition_model_version_stage(name, "2", "Production")
    assert stages_of(client, name) == {"1": "Production", "2": "Production", "3": "None"}
    moved = client.transition_model_version_stage(name, "3", "Production", archive_existing_versions=True)
    assert (moved.current_stage, moved.version) == ("Production", "3")
    assert stages_of(client, name) == {"1": "Archived", "2": "Archived", "3": "Production"}
    latest = {found.current_stage: found.version for found in client.get_latest_versions(name)}
    assert latest == {"Archived": "2", "Production": "3"}
    assert [found.version for found in client.get_latest_versions(name, ["production"])] == ["3"]
    copy = client.copy_model_version(f"models:/{name}/Production", f"{name} copy")
    assert copy.source == f"models:/{name}/3"


def test_a_stage_that_the_server_does_not_have_is_refused(
    client: mlflow.MlflowClient, api: RunningApi, name: str
) -> None:
    for stage in ("Live", "Deleted_Internal"):
        act = lambda stage=stage: client.transition_model_version_stage(name, "1", stage)  # noqa: E731
        assert error_code_of(act) == "INVALID_PARAMETER_VALUE"
    body = {"name": name, "version": "1", "stage": "Archived", "archive_existing_versions": True}
    assert api.post("/model-versions/transition-stage", body).status_code == 400


def test_stages_of_its_own_work_like_those_of_mlflow(api: RunningApi, client: mlflow.MlflowClient, name: str) -> None:
    object.__setattr__(api.services, "stages", (*STOCK_STAGES, "Canary"))
    try:
        client.transition_model_version_stage(name, "1", "canary")
        client.transition_model_version_stage(name, "2", "Canary", archive_existing_versions=True)
        assert stages_of(client, name) == {"1": "Archived", "2": "Canary", "3": "None"}
        assert [found.version for found in client.get_latest_versions(name, ["CANARY"])] == ["2"]
        assert client.copy_model_version(f"models:/{name}/Canary", f"{name} copy").source == f"models:/{name}/2"
    finally:
        object.__setattr__(api.services, "stages", STOCK_STAGES)
    # What is in the log stays true, whatever the server is told later.
    assert stages_of(client, name)["2"] == "Canary"


def test_a_deleted_version_is_gone_and_its_number_is_not_given_again(client: mlflow.MlflowClient, name: str) -> None:
    client.delete_model_version(name, "3")
    for act in (
        lambda: client.get_model_version(name, "3"),
        lambda: client.delete_model_version(name, "3"),
        lambda: client.update_model_version(name, "3", "x"),
        lambda: client.set_model_version_tag(name, "3", "a", "b"),
        lambda: client.set_registered_model_alias(name, "champion", "3"),
        lambda: client.transition_model_version_stage(name, "3", "Staging"),
        lambda: client.get_model_version_download_uri(name, "3"),
    ):
        assert error_code_of(act) == "RESOURCE_DOES_NOT_EXIST"
    assert sorted(stages_of(client, name)) == ["1", "2"]
    assert client.create_model_version(name, "s3://bucket/x").version == "4"


def test_a_deleted_model_is_gone_with_all_that_was_its_own(client: mlflow.MlflowClient, name: str) -> None:
    client.set_registered_model_tag(name, "team", "vision")
    client.set_registered_model_alias(name, "champion", "1")
    client.delete_registered_model(name)
    for act in (
        lambda: client.get_registered_model(name),
        lambda: client.delete_registered_model(name),
        lambda: client.get_model_version(name, "1"),
        lambda: client.rename_registered_model(name, "x"),
        lambda: client.delete_registered_model_alias(name, "champion"),
        lambda: client.delete_registered_model_tag(name, "team"),
    ):
        assert error_code_of(act) == "RESOURCE_DOES_NOT_EXIST"
    assert stages_of(client, name) == {}
    again = client.create_registered_model(name)
    assert (again.tags, again.aliases, again.latest_versions) == ({}, {}, [])
    assert client.create_model_version(name, "s3://bucket/x").version == "1"


def test_models_are_searched_by_name_and_tags(client: mlflow.MlflowClient) -> None:
    mark = secrets.token_hex(4)
    for word, team in (("Iris", "vision"), ("iris", "vision"), ("wine", "food")):
        client.create_registered_model(f"{word} {mark}", {"team": team, "mark": mark})

    def found(text: str) -> list[str]:
        models = client.search_registered_models(f"tags.mark = '{mark}' AND {text}")
        return [model.name.split()[0] for model in models]

    assert found("name LIKE 'i%'") == ["iris"]
    assert found("name ILIKE 'i%'") == ["Iris", "iris"]
    assert found(f"name IN ('iris {mark}', 'wine {mark}')") == ["iris", "wine"]
    assert found(f"name NOT IN ('iris {mark}')") == ["Iris", "wine"]
    assert found(f"attribute.name != 'wine {mark}'") == ["Iris", "iris"]
    assert found("tag.team = 'vision'") == ["Iris", "iris"]
    assert found("tags.team LIKE 'f%' AND tags.team != 'x'") == ["wine"]
    assert found("tags.`mlflow.prompt.is_prompt` = 'true'") == []
    assert found("tags.nobody != 'x'") == []


def test_versions_are_searched_by_number_run_source_and_tags(
    api: RunningApi, client: mlflow.MlflowClient, name: str
) -> None:
    run_id = api.create_run()
    client.create_model_version(name, f"mlflow-artifacts:/0/{run_id}/artifacts/model", run_id, {"kind": "tree"})

    def found(text: str) -> list[str]:
        return [version.version for version in client.search_model_versions(f"name = '{name}' AND {text}")]

    assert found("version_number > 2") == ["4", "3"]
    assert found("version_number = '2'") == ["2"]
    assert found("version_number != 2 AND version_number <= 3") == ["3", "1"]
    assert found(f"run_id IN ('{run_id}', 'x')") == ["4"]
    assert found(f"run_id != '{run_id}'") == ["3", "2", "1"]
    assert found("run_id = ''") == ["3", "2", "1"]
    assert found("source_path LIKE 's3://bucket/%'") == ["3", "2", "1"]
    assert found("tags.kind ILIKE 'TREE'") == ["4"]


@pytest.mark.parametrize(
    ("method", "path", "fields", "status"),
    [
        ("POST", "/registered-models/rename", {"name": "nobody"}, 400),
        ("POST", "/registered-models/rename", {"name": "nobody", "new_name": "a/b"}, 400),
        ("POST", "/registered-models/rename", {"name": "nobody", "new_name": "x" * 257}, 400),
        ("POST", "/registered-models/rename", {"name": "nobody", "new_name": "x"}, 404),
        ("PATCH", "/registered-models/update", {"name": "nobody"}, 404),
        ("PATCH", "/registered-models/update", {"name": "nobody", "description": "d" * 5001}, 400),
        ("DELETE", "/registered-models/delete", {}, 400),
        ("DELETE", "/registered-models/delete", {"name": "nobody"}, 404),
        ("POST", "/registered-models/set-tag", {"name": "nobody", "key": "a", "value": "b"}, 404),
        ("POST", "/registered-models/set-tag", {"name": "nobody", "key": "../a", "value": "b"}, 400),
        ("POST", "/registered-models/set-tag", {"name": "nobody", "key": "a", "value": "v" * 100_001}, 400),
        (
            "POST",
            "/registered-models/set-tag",
            {"name": "nobody", "key": "mlflow.prompt.is_prompt", "value": "true"},
            400,
        ),
        ("DELETE", "/registered-models/delete-tag", {"name": "nobody", "key": "a"}, 404),
        ("POST", "/registered-models/alias", {"name": "nobody", "alias": "a", "version": "1"}, 404),
        ("POST", "/registered-models/alias", {"name": "nobody", "alias": "Latest", "version": "1"}, 400),
        ("POST", "/registered-models/alias", {"name": "nobody", "alias": "v12", "version": "1"}, 400),
        ("POST", "/registered-models/alias", {"name": "nobody", "alias": "a b", "version": "1"}, 400),
        ("POST", "/registered-models/alias", {"name": "nobody", "alias": "a" * 256, "version": "1"}, 400),
        ("POST", "/registered-models/alias", {"name": "nobody", "alias": "a", "version": "one"}, 400),
        ("POST", "/registered-models/alias", {"name": "nobody", "alias": "a", "version": "9" * 30}, 404),
        ("DELETE", "/registered-models/alias", {"name": "nobody", "alias": "a"}, 404),
        ("GET", "/registered-models/alias", {"name": "nobody", "alias": "a"}, 404),
        ("GET", "/registered-models/alias", {"name": "nobody", "alias": "latest"}, 404),
        ("PATCH", "/model-versions/update", {"name": "nobody", "version": "1"}, 404),
        ("PATCH", "/model-versions/update", {"name": "nobody", "version": "-1"}, 404),
        ("DELETE", "/model-versions/delete", {"name": "nobody", "version": "1"}, 404),
        ("POST", "/model-versions/set-tag", {"name": "nobody", "version": "1", "key": ""}, 400),
        ("DELETE", "/model-versions/delete-tag", {"name": "nobody", "version": "1", "key": "a"}, 404),
        ("POST", "/model-versions/transition-stage", {"name": "nobody", "version": "1"}, 400),
        ("POST", "/model-versions/transition-stage", {"name": "nobody", "version": "1", "stage": "Staging"}, 404),
        (
            "POST",
            "/model-versions/transition-stage",
            {"name": "nobody", "version": "1", "stage": "Staging", "archive_existing_versions": "true"},
            400,
        ),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(
    api: RunningApi, method: str, path: str, fields: dict[str, object], status: int
) -> None:
    sent = {"params": fields} if method == "GET" else {"json": fields}
    response = api.client.request(method, f"{api.url}/api/2.0/mlflow{path}", **sent)  # type: ignore[arg-type]
    code = {400: "INVALID_PARAMETER_VALUE", 404: "RESOURCE_DOES_NOT_EXIST"}[status]
    assert (response.status_code, response.json()["error_code"]) == (status, code), response.text
