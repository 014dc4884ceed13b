"""`mltrail registry` on a data folder, and the server's own stages."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from mltrail_cli.settings import read_settings
from mltrail_core.clock import now_us
from mltrail_core.errors import Invalid
from mltrail_core.events import (
    AliasSet,
    Event,
    ModelVersionCreated,
    RegisteredModelCreated,
    RegisteredModelDeleted,
    StageChanged,
)
from mltrail_core.ids import CONTROL
from mltrail_core.log import open_log
from mltrail_core.log.genesis import ensure_begun
from tests.cli.command import mltrail, server
from tests.projector.producing import Producing


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A data folder with a model whose version 2 took over from 1, and a moment in between."""
    data = tmp_path_factory.mktemp("registry") / "data"
    log, producing = open_log(str(data / "log")), Producing()
    ensure_begun(log)

    def append(*events: Event) -> int:
        [appended] = log.append([producing.record(CONTROL, *events)])
        return appended.appended_us

    append(
        RegisteredModelCreated(1, "iris [bold]", "Tells flowers apart.", (("team", "vision"),)),
        ModelVersionCreated(2, "iris [bold]", "s3://bucket/1", "s3://bucket/1"),
        ModelVersionCreated(3, "iris [bold]", "s3://bucket/2", "s3://bucket/2"),
    )
    between = append(StageChanged(4, "iris [bold]", 1, "Production"), AliasSet(5, "iris [bold]", "champion", 1))
    append(StageChanged(6, "iris [bold]", 2, "Production", "Archived"), AliasSet(7, "iris [bold]", "champion", 2))
    append(RegisteredModelCreated(8, "gone"), RegisteredModelDeleted(9, "gone"))
    log.close()
    return data, between


def test_models_are_listed_with_stages_and_aliases(registered: tuple[Path, int]) -> None:
    data, _ = registered
    text = mltrail("registry", "list", "--data", data).out
    for part in ("iris [bold]", "1 Archived, 2 Production", "champion → 2"):
        assert part in text
    found = mltrail("registry", "list", "--data", data, "--json", "--filter", "tags.team = 'vision'").json()
    assert isinstance(found["registered_models"], list)
    assert [model["name"] for model in found["registered_models"]] == ["iris [bold]"]
    assert "iris" not in mltrail("registry", "list", "--data", data, "--filter", "tags.team = 'x'").out


def test_a_model_is_shown_as_it_is_and_as_it_was(registered: tuple[Path, int]) -> None:
    data, between = registered
    text = mltrail("registry", "show", "iris [bold]", "--data", data).out
    for part in ("iris [bold]", "Tells flowers apart.", "team=vision", "s3://bucket/2", "Production", "Archived"):
        assert part in text

    def stages(*words: str) -> object:
        found = mltrail("registry", "show", "iris [bold]", "--data", data, "--json", *words).json()["model"]
        assert isinstance(found, dict)
        return found["stages"], found["aliases"]

    assert stages() == ({"Archived": [1], "Production": [2]}, {"champion": 2})
    assert stages("--as-of", str(between)) == ({"None": [2], "Production": [1]}, {"champion": 1})
    gone = mltrail("registry", "show", "gone", "--data", data)
    assert gone.status == 1
    assert "'gone'" in gone.err


def test_the_history_says_what_was_before_and_who_did_it(registered: tuple[Path, int]) -> None:
    data, between = registered
    lines = mltrail("registry", "history", "iris [bold]", "--data", data).out.splitlines()
    assert any(all(part in line for part in ("stage", "Production", "Archived", "ann (claimed)")) for line in lines)
    words = ("registry", "history", "iris [bold]", "--data", data, "--json", "--kind", "stage", "--as-of", str(between))
    changes = mltrail(*words).json()["changes"]
    assert isinstance(changes, list)
    assert [(change["version"], change["before"], change["after"]) for change in changes] == [(1, "None", "Production")]
    assert "deleted" in mltrail("registry", "history", "gone", "--data", data).out
    assert mltrail("registry", "history", "nobody", "--data", data).status == 1
    assert mltrail("registry", "history", "gone", "--data", data, "--kind", "mood").status == 1


def test_a_server_has_the_stages_that_it_was_told_of(tmp_path: Path) -> None:
    with server(tmp_path, MLTRAIL_STAGES="Canary, Shadow") as running:
        running.get("/version")

        def post(path: str, body: dict[str, object]) -> dict[str, dict[str, str]]:
            request = urllib.request.Request(
                f"{running.url}/api/2.0/mlflow{path}",
                json.dumps(body).encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=20) as response:
                answer: dict[str, dict[str, str]] = json.loads(response.read())
                return answer

        post("/registered-models/create", {"name": "m"})
        post("/model-versions/create", {"name": "m", "source": "s3://bucket/1"})
        staged = post("/model-versions/transition-stage", {"name": "m", "version": "1", "stage": "canary"})
        assert staged["model_version"]["current_stage"] == "Canary"
        shown = json.loads(running.get(f"/api/v1/registry/m/stages/Canary?as_of={now_us()}"))
        assert [version["version"] for version in shown["versions"]] == [1]


def test_stages_are_read_from_a_setting() -> None:
    assert read_settings(stages="Canary, Shadow,").all_stages[4:] == ("Canary", "Shadow")
    assert len(read_settings().all_stages) == 4
    for stages in ("production", "Canary,canary", "a/b", "Deleted_Internal", "x" * 65):
        with pytest.raises(Invalid, match="--stages"):
            read_settings(stages=stages)
