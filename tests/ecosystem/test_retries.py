"""The stock client re-sends whatever got no answer: behind a network that drops and repeats, nothing is lost, and
nothing is doubled but what MLflow itself can't tell from a second wish (docs/mlflow-compatibility.md)."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import mlflow
import pytest

from tests.ecosystem.conftest import Tracking
from tests.ecosystem.unreliable_proxy import FAULTS, Choose, Fault, UnreliableProxy, unreliable_proxy

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow and urllib3 about what the proxy does
RUNS, STEPS = 3, 20
_ID = re.compile(r"/(m-)?[0-9a-f]{32}(?=/|$)|/\d{6,}(?=/|$)")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Worked:
    """The names of what the workload made."""

    experiment_id: str
    run_ids: list[str]
    model: str
    model_id: str


def a_tenth(seed: int) -> Choose:
    """Return what does one of the faults to 10 % of the requests, at random."""
    generator = random.Random(seed)
    return lambda _, __: generator.choice(FAULTS) if generator.random() < 0.1 else None


def first_of_each(fault: Fault) -> Choose:
    """Return what does this fault to the first request of every kind."""
    seen: set[tuple[str, str]] = set()

    def choose(method: str, path: str) -> Fault | None:
        kind = (method, _ID.sub("/…", path) if "artifacts/" not in path else "artifact")
        is_first = kind not in seen
        seen.add(kind)
        return fault if is_first else None

    return choose


def unless(error_code: str, call: Callable[[], T]) -> T | None:
    """Call, as scripts do that know that their request may have arrived before."""
    try:
        return call()
    except mlflow.exceptions.RestException as error:
        if error.error_code != error_code:
            raise
        return None


def work(client: mlflow.MlflowClient, name: str, folder: Path) -> Worked:
    """Say everything that a training script can say, and know what was said."""
    experiment_id = mlflow.set_experiment(name).experiment_id
    client.set_experiment_tag(experiment_id, "team", "vision")
    client.set_experiment_tag(experiment_id, "gone", "soon")
    unless("RESOURCE_DOES_NOT_EXIST", lambda: client.delete_experiment_tag(experiment_id, "gone"))
    run_ids = [_work_on_run(client, experiment_id, number, folder) for number in range(RUNS)]
    client.delete_run(run_ids[-1])
    client.delete_run(run_ids[0])
    client.restore_run(run_ids[0])
    unless("RESOURCE_DOES_NOT_EXIST", lambda: client.delete_experiment(experiment_id))
    unless("RESOURCE_DOES_NOT_EXIST", lambda: client.restore_experiment(experiment_id))
    client.rename_experiment(experiment_id, f"{name}, renamed")
    model_id = _work_on_model(client, experiment_id, run_ids[0], folder)
    model = f"{name}-model"
    _work_on_registry(client, model, model_id)
    return Worked(experiment_id, run_ids, f"{model}-renamed", model_id)


def _work_on_run(client: mlflow.MlflowClient, experiment_id: str, number: int, folder: Path) -> str:
    run_id: str = client.create_run(experiment_id, run_name=f"run {number}", tags={"kept": "yes"}).info.run_id
    client.log_param(run_id, "number", number)
    for step in range(STEPS):
        client.log_metric(run_id, "loss", number + 1 / (step + 1), timestamp=1000 + step, step=step)
    client.log_batch(
        run_id,
        metrics=[mlflow.entities.Metric("wide", step * 1.5, 2000 + step, step) for step in range(1000)],
        params=[mlflow.entities.Param("depth", "3"), mlflow.entities.Param("note", "ü" * 100)],
        tags=[mlflow.entities.RunTag("a", "1"), mlflow.entities.RunTag("b", "2")],
    )
    client.set_tag(run_id, "a", "changed")
    unless("RESOURCE_DOES_NOT_EXIST", lambda: client.delete_tag(run_id, "b"))
    dataset = mlflow.entities.Dataset("iris", f"d{number}", "local", "{}")
    client.log_inputs(
        run_id, [mlflow.entities.DatasetInput(dataset, [mlflow.entities.InputTag("mlflow.data.context", "training")])]
    )
    for text in ("first", "second"):
        file = folder / f"{number}.txt"
        file.write_text(f"{text} of {number}")
        client.log_artifact(run_id, str(file), "files")
    client.log_text(run_id, "", "empty.txt")
    client.update_run(run_id, name=f"run {number}, renamed")
    client.set_terminated(run_id, "FINISHED", end_time=9000 + number)
    return run_id


def _work_on_model(client: mlflow.MlflowClient, experiment_id: str, run_id: str, folder: Path) -> str:
    created = client.create_logged_model(
        experiment_id, "net", run_id, tags={"t": "1", "gone": "soon"}, params={"layers": "2"}, model_type="agent"
    )
    model_id = str(created.model_id)
    (folder / "MLmodel").write_text(f"model_id: {model_id}\n")
    client.log_model_artifacts(model_id, str(folder))
    client.log_metric(run_id, "accuracy", 0.75, timestamp=5, step=1, model_id=model_id)
    client.log_outputs(run_id, [mlflow.entities.LoggedModelOutput(model_id, step=3)])
    client.set_logged_model_tags(model_id, {"t": "2"})
    unless("RESOURCE_DOES_NOT_EXIST", lambda: client.delete_logged_model_tag(model_id, "gone"))
    client.finalize_logged_model(model_id, "READY")
    return model_id


def _work_on_registry(client: mlflow.MlflowClient, name: str, model_id: str) -> None:
    unless("RESOURCE_ALREADY_EXISTS", lambda: client.create_registered_model(name, tags={"t": "1"}))
    client.update_registered_model(name, "what it is for")
    for number in range(3):
        mlflow.register_model(f"models:/{model_id}", name, tags={"number": str(number)})
    latest = max(int(version.version) for version in client.search_model_versions(f"name = '{name}'"))
    client.update_model_version(name, str(latest), "the last one")
    client.set_model_version_tag(name, str(latest), "validated", "yes")
    client.transition_model_version_stage(name, "1", "Production")
    client.transition_model_version_stage(name, str(latest), "Production", archive_existing_versions=True)
    client.set_registered_model_alias(name, "champion", "1")
    client.set_registered_model_alias(name, "champion", str(latest))
    client.set_registered_model_alias(name, "gone", "1")
    client.delete_registered_model_alias(name, "gone")
    client.set_registered_model_tag(name, "gone", "soon")
    client.delete_registered_model_tag(name, "gone")
    unless("RESOURCE_DOES_NOT_EXIST", lambda: client.delete_model_version(name, "2"))
    unless("RESOURCE_DOES_NOT_EXIST", lambda: client.rename_registered_model(name, f"{name}-renamed"))


@pytest.mark.parametrize(
    "how",
    [
        "a tenth at random",  # which has each of the faults
        pytest.param("answer lost", marks=pytest.mark.thorough),
        pytest.param("sent twice at once", marks=pytest.mark.thorough),
    ],
)
def test_nothing_is_lost_or_doubled(
    how: Fault | str, tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "7")  # the default, but with no time between
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")
    folder = tmp_path / "model"
    folder.mkdir()
    with unreliable_proxy(tracking.url, first_of_each(how) if how in FAULTS else a_tenth(7)) as proxy:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.url)
        worked = work(mlflow.MlflowClient(proxy.url), f"unreliable, {how}", folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.url)
    assert sum(proxy.faulty.values()) >= proxy.requests * 0.06
    if how not in FAULTS:
        assert {fault for fault, _, _ in proxy.faulty} == set(FAULTS)
    assert_runs_are_whole(tracking.client, worked, proxy)
    assert_model_is_whole(tracking.client, worked, proxy)
    assert_registry_is_whole(tracking.client, worked, proxy)


def assert_runs_are_whole(client: mlflow.MlflowClient, worked: Worked, proxy: UnreliableProxy) -> None:
    experiment = client.get_experiment(worked.experiment_id)
    assert (experiment.lifecycle_stage, experiment.tags) == ("active", {"team": "vision"})
    assert experiment.name.endswith(", renamed")
    named = [found for found in client.search_experiments() if found.name.startswith(experiment.name[:-9])]
    assert [found.experiment_id for found in named] == [worked.experiment_id]
    everything = client.search_runs([worked.experiment_id], run_view_type=3)
    assert len(everything) == proxy.times_done("POST", "/runs/create")
    for run in everything:
        if run.info.run_id in worked.run_ids:
            assert_run_is_whole(client, run, worked.run_ids.index(run.info.run_id))
        else:  # whose id no client ever learned
            assert (run.info.status, run.data.params, run.data.metrics) == ("RUNNING", {}, {})
            assert client.list_artifacts(run.info.run_id) == []


def assert_run_is_whole(client: mlflow.MlflowClient, run: mlflow.entities.Run, number: int) -> None:
    run_id = run.info.run_id
    assert run.info.lifecycle_stage == ("deleted" if number == RUNS - 1 else "active")
    assert (run.info.status, run.info.end_time, run.info.run_name) == (
        "FINISHED", 9000 + number, f"run {number}, renamed"
    )  # fmt: skip
    assert run.data.params == {"number": str(number), "depth": "3", "note": "ü" * 100}
    own = {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.")}
    assert own == {"kept": "yes", "a": "changed"}
    points = [(point.step, point.timestamp, point.value) for point in client.get_metric_history(run_id, "loss")]
    assert points == [(step, 1000 + step, number + 1 / (step + 1)) for step in range(STEPS)]
    wide = [(point.step, point.timestamp, point.value) for point in client.get_metric_history(run_id, "wide")]
    assert wide == [(step, 2000 + step, step * 1.5) for step in range(1000)]
    assert run.inputs is not None
    [used] = run.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest, [tag.value for tag in used.tags]) == (
        "iris", f"d{number}", ["training"]
    )  # fmt: skip
    assert sorted((file.path, file.file_size) for file in client.list_artifacts(run_id)) == [
        ("empty.txt", 0), ("files", None)
    ]  # fmt: skip
    [file] = client.list_artifacts(run_id, "files")
    assert file.path == f"files/{number}.txt"
    assert mlflow.artifacts.load_text(f"runs:/{run_id}/{file.path}") == f"second of {number}"


def assert_model_is_whole(client: mlflow.MlflowClient, worked: Worked, proxy: UnreliableProxy) -> None:
    found = client.search_logged_models([worked.experiment_id])
    assert len(found) == proxy.times_done("POST", "/logged-models")
    assert {model.status.value for model in found if model.model_id != worked.model_id} <= {"PENDING"}
    model = client.get_logged_model(worked.model_id)
    own = {key: value for key, value in model.tags.items() if not key.startswith("mlflow.")}
    assert (model.status.value, model.params, own) == ("READY", {"layers": "2"}, {"t": "2"})
    assert [(point.key, point.value, point.step) for point in model.metrics or ()] == [("accuracy", 0.75, 1)]
    outputs = client.get_run(worked.run_ids[0]).outputs
    assert outputs is not None
    assert [(output.model_id, output.step) for output in outputs.model_outputs] == [(worked.model_id, 3)]
    files = Path(mlflow.artifacts.download_artifacts(f"models:/{worked.model_id}"))
    assert (files / "MLmodel").read_text() == f"model_id: {worked.model_id}\n"


def assert_registry_is_whole(client: mlflow.MlflowClient, worked: Worked, proxy: UnreliableProxy) -> None:
    model = client.get_registered_model(worked.model)
    latest = proxy.times_done("POST", "/model-versions/create")
    assert (model.description, model.tags) == ("what it is for", {"t": "1"})
    assert {alias: str(number) for alias, number in model.aliases.items()} == {"champion": str(latest)}
    found = client.search_model_versions(f"name = '{worked.model}'")
    expected = {number: "Archived" if number == 1 else "None" for number in range(1, latest) if number != 2}
    assert {int(version.version): version.current_stage for version in found} == {**expected, latest: "Production"}
    assert {version.tags["number"] for version in found} <= {"0", "1", "2"}
    last = client.get_model_version(worked.model, str(latest))
    assert (last.description, last.tags) == ("the last one", {"number": "2", "validated": "yes"})
    assert len(client.search_registered_models(f"name LIKE '{worked.model.removesuffix('-renamed')}%'")) == 1
