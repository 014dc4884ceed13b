"""What a training script logs with the fluent API, and how it reads it back."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest
from PIL import Image

from tests.ecosystem.conftest import Tracking, inputs_of

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow and pandas about each other


def wait_until(holds: Callable[[], bool]) -> None:
    """Return as soon as `holds` does, within 20 s."""
    give_up = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < give_up, "it did not come true in time"
        time.sleep(0.01)


def test_tables_are_appended_and_loaded_over_runs(tracking: Tracking) -> None:
    for answer in ("yes", "no"):
        with mlflow.start_run(run_name=answer):
            mlflow.log_table({"question": ["a", "b"], "answer": [answer, answer]}, "answers.json")
            mlflow.log_table(pd.DataFrame({"question": ["c"], "answer": [answer]}), "answers.json")
    whole = mlflow.load_table("answers.json", extra_columns=["run_id"])
    assert sorted(whole["answer"]) == ["no"] * 3 + ["yes"] * 3
    assert whole["run_id"].nunique() == 2
    [run] = tracking.client.search_runs([tracking.experiment_id], "attributes.run_name = 'no'")
    assert mlflow.load_table("answers.json", run_ids=[run.info.run_id])["question"].tolist() == ["a", "b", "c"]


def test_figures_images_texts_and_dicts_become_files(tracking: Tracking, tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    figure.add_subplot().plot([1, 2, 3])
    pixels = np.zeros((4, 6, 3), dtype=np.uint8)
    pixels[1, 2] = (255, 128, 0)
    with mlflow.start_run() as run:
        mlflow.log_figure(figure, "plots/line.png")
        mlflow.log_image(pixels, "images/pixels.png")
        mlflow.log_image(Image.new("RGB", (3, 2), "red"), key="sample", step=7)
        mlflow.log_text("grüße\n", "notes/hello.txt")
        mlflow.log_dict({"layers": [1, 2], "name": "net"}, "config.yaml")
        mlflow.log_dict({"layers": [1, 2]}, "config.json")
    run_id = run.info.run_id
    files = tracking.files(run_id)
    assert set(files) >= {"plots/line.png", "images/pixels.png", "notes/hello.txt", "config.yaml", "config.json"}
    stepped = [path for path in files if "sample" in path and path.endswith(".png")]
    assert len(stepped) == 1
    assert mlflow.artifacts.load_text(f"runs:/{run_id}/notes/hello.txt") == "grüße\n"
    assert mlflow.artifacts.load_dict(f"runs:/{run_id}/config.json") == {"layers": [1, 2]}
    assert np.asarray(mlflow.artifacts.load_image(f"runs:/{run_id}/images/pixels.png")).tolist() == pixels.tolist()
    assert mlflow.artifacts.load_image(f"runs:/{run_id}/{stepped[0]}").size == (3, 2)
    whole = Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="", dst_path=str(tmp_path / "all")))
    assert sorted(str(path.relative_to(whole)) for path in whole.rglob("*") if path.is_file()) == files
    assert (whole / "plots/line.png").read_bytes().startswith(b"\x89PNG")
    assert mlflow.get_run(run_id).data.tags["mlflow.loggedImages"] == "True"


def test_a_folder_is_logged_as_it_is(tracking: Tracking, tmp_path: Path) -> None:
    place = tmp_path / "outputs"
    (place / "deep" / "er").mkdir(parents=True)
    (place / "top.txt").write_text("top")
    (place / "deep" / "er" / "ü +&=.bin").write_bytes(bytes(range(256)))
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(place), "out")
    assert tracking.files(run.info.run_id) == ["out/deep/er/ü +&=.bin", "out/top.txt"]
    fetched = tracking.client.download_artifacts(run.info.run_id, "out/deep/er/ü +&=.bin")
    assert Path(fetched).read_bytes() == bytes(range(256))


def test_what_was_logged_asynchronously_is_there_after_a_flush(tracking: Tracking) -> None:
    mlflow.config.enable_async_logging(True)  # type: ignore[no-untyped-call]
    try:
        with mlflow.start_run() as run:
            for step in range(200):
                mlflow.log_metric("loss", 1 / (step + 1), step=step)
            mlflow.log_params({"lr": 0.1, "depth": 3})
            mlflow.set_tag("team", "vision")
            pending = mlflow.log_metric("acc", 0.5, step=1, synchronous=False)
            assert pending is not None
            pending.wait()  # type: ignore[no-untyped-call]
            assert tracking.client.get_run(run.info.run_id).data.metrics["acc"] == 0.5
            mlflow.flush_async_logging()
            found = tracking.client.get_run(run.info.run_id).data
    finally:
        mlflow.config.enable_async_logging(False)  # type: ignore[no-untyped-call]
    assert (found.params, found.tags["team"]) == ({"lr": "0.1", "depth": "3"}, "vision")
    points = tracking.client.get_metric_history(run.info.run_id, "loss")
    assert sorted((point.step, point.value) for point in points) == [(step, 1 / (step + 1)) for step in range(200)]


def test_a_batch_is_logged_by_the_client_without_waiting(tracking: Tracking) -> None:
    run_id = tracking.client.create_run(tracking.experiment_id).info.run_id
    pending = tracking.client.log_batch(
        run_id,
        metrics=[mlflow.entities.Metric("a", value, 1000 + value, value) for value in range(50)],
        params=[mlflow.entities.Param("p", "1")],
        tags=[mlflow.entities.RunTag("t", "1")],
        synchronous=False,
    )
    assert pending is not None
    pending.wait()  # type: ignore[no-untyped-call]
    found = tracking.client.get_run(run_id).data
    assert (found.metrics, found.params["p"], found.tags["t"]) == ({"a": 49.0}, "1", "1")


def test_system_metrics_arrive_while_the_run_goes_on(tracking: Tracking) -> None:
    mlflow.set_system_metrics_sampling_interval(0.05)  # type: ignore[no-untyped-call]
    mlflow.set_system_metrics_samples_before_logging(1)  # type: ignore[no-untyped-call]
    with mlflow.start_run(log_system_metrics=True) as run:
        run_id = run.info.run_id
        wait_until(lambda: len(tracking.client.get_metric_history(run_id, "system/cpu_utilization_percentage")) >= 2)
    found = tracking.client.get_run(run_id).data.metrics
    assert {"system/cpu_utilization_percentage", "system/system_memory_usage_megabytes"} <= set(found)
    assert found["system/system_memory_usage_megabytes"] > 1


def test_nested_runs_know_their_parent_and_are_found_in_a_data_frame(tracking: Tracking) -> None:
    with mlflow.start_run(run_name="parent", tags={"kind": "sweep"}, description="three tries") as parent:
        for rate in (0.1, 0.2, 0.3):
            with mlflow.start_run(run_name=f"child {rate}", nested=True):
                mlflow.log_param("rate", rate)
                mlflow.log_metric("score", rate * 2)
    with pytest.raises(KeyError), mlflow.start_run(run_name="failing"):
        raise KeyError("what training dies of")
    children = mlflow.search_runs(
        filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}'", order_by=["metrics.score DESC"]
    )
    assert children["params.rate"].tolist() == ["0.3", "0.2", "0.1"]
    assert children["metrics.score"].tolist() == [0.6, 0.4, 0.2]
    assert str(children["start_time"].dt.tz) == "UTC"
    assert (children["end_time"] >= children["start_time"]).all()
    whole = mlflow.search_runs(search_all_experiments=True, filter_string="tags.kind = 'sweep'")
    assert whole["tags.mlflow.note.content"].tolist() == ["three tries"]
    by_name = {run.info.run_name: run.info.status for run in mlflow.search_runs(output_format="list")}
    assert by_name["failing"] == "FAILED"
    assert len(by_name) == 5
    above = tracking.client.get_parent_run(children["run_id"][0])
    assert above is not None
    assert above.info.run_id == parent.info.run_id


def test_a_run_goes_on_where_it_ended(tracking: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    with mlflow.start_run() as run:
        mlflow.log_metric("loss", 2.0, step=1)
    monkeypatch.setenv("MLFLOW_RUN_ID", run.info.run_id)
    with mlflow.start_run() as again:
        assert again.info.run_id == run.info.run_id
        assert tracking.client.get_run(run.info.run_id).info.status == "RUNNING"
        mlflow.log_metric("loss", 1.0, step=2)
    assert "MLFLOW_RUN_ID" not in os.environ
    ended = tracking.client.get_run(run.info.run_id)
    assert (ended.info.status, ended.data.metrics) == ("FINISHED", {"loss": 1.0})


def test_datasets_are_inputs_of_their_run(tracking: Tracking) -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [0, 1, 0]})
    dataset = mlflow.data.pandas_dataset.from_pandas(frame, source="data/points.csv", name="points", targets="y")
    with mlflow.start_run() as run:
        mlflow.log_input(dataset, context="training", tags={"split": "a"})
        mlflow.log_input(mlflow.data.numpy_dataset.from_numpy(np.arange(6.0)), context="test")
        mlflow.log_input(dataset, context="training")  # stays as it was said first
    inputs = {used.dataset.name: used for used in inputs_of(run.info.run_id).dataset_inputs}
    assert set(inputs) == {"points", "dataset"}
    used = inputs["points"]
    assert {tag.key: tag.value for tag in used.tags} == {"mlflow.data.context": "training", "split": "a"}
    assert (used.dataset.digest, used.dataset.source_type) == (dataset.digest, "local")
    assert mlflow.data.get_source(used.dataset).to_dict() == {"uri": "data/points.csv"}
    assert '"num_rows": 3' in str(used.dataset.profile)
    found = mlflow.search_runs(filter_string="datasets.name = 'points' and datasets.context = 'training'")
    assert found["run_id"].tolist() == [run.info.run_id]
    assert mlflow.search_runs(filter_string="datasets.name = 'points' and datasets.context = 'validation'").empty
