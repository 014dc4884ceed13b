"""Commands that read a data folder on which no server runs."""

from __future__ import annotations

from pathlib import Path

from tests.cli.command import mltrail, mltrail_process
from tests.cli.trained import REPORT, TrainedFolder


def test_experiments_are_listed_with_their_runs(trained: TrainedFolder) -> None:
    found = mltrail("experiments", "list", "--data", trained.data, "--json").json()["experiments"]
    assert isinstance(found, list)
    counts = {line["experiment"]["name"]: line["run_count"] for line in found}
    assert counts == {"vision": 2, "Default": 0}
    assert "vision" in mltrail("experiments", "list", "--data", trained.data).out


def test_runs_are_searched_by_the_native_grammar(trained: TrainedFolder) -> None:
    def names(*words: str) -> list[str]:
        found = mltrail("runs", "list", "--data", trained.data, "--json", *words).json()["runs"]
        assert isinstance(found, list)
        return [run["info"]["run_name"] for run in found]

    assert names() == ["second", "first <b>"]
    assert names("--filter", "metrics.loss > 0.1") == ["first <b>"]
    assert names("--experiment", "vision", "--order-by", "metrics.loss DESC") == ["first <b>", "second"]
    assert names("--max-results", "1") == ["second"]
    assert names("--experiment", "Default") == []
    assert names("--filter", "metrics.loss.max > 0.9 OR run_name ~ '^sec'", "--sort", "metrics.loss.min") == [
        "second",
        "first <b>",
    ]


def test_only_the_columns_asked_for_are_listed(trained: TrainedFolder) -> None:
    words = (
        "--sort",
        "metrics.loss.min",
        "--columns",
        "metrics.loss.min, params.lr",
        "-c",
        "status",
        "-c",
        "metrics.odd",
    )
    found = mltrail("runs", "list", "--data", trained.data, "--json", *words).json()["runs"]
    first = {"loss": {"min": 0.2}, "odd": {"last": "NaN", "last_step": 0}}
    whole = {"status": "FINISHED", "is_deleted": False}
    assert found == [
        {"run_id": trained.second, "params": {"lr": "0.3"}, "metrics": {"loss": {"min": 0.01}}, **whole},
        {"run_id": trained.first, "params": {"lr": "0.1"}, "metrics": first, **whole},
    ]
    table = mltrail("runs", "list", "--data", trained.data, *words).out
    for part in ("metrics.loss.min", "params.lr", "FINISHED", "0.01", "NaN", trained.second):
        assert part in table


def test_a_run_is_shown_with_its_delivery_and_rejections(trained: TrainedFolder) -> None:
    text = mltrail("runs", "show", trained.first, "--data", trained.data).out
    for part in ("first <b>", "FINISHED", "svm", "blue", "reports/report.txt", "missing none", "param_changed"):
        assert part in text
    shown = mltrail("runs", "show", trained.first[:10], "--data", trained.data, "--json").json()
    assert isinstance(shown["metrics"], list)
    summary = {metric["key"]: metric for metric in shown["metrics"]}
    assert (summary["loss"]["last_value"], summary["loss"]["min_value"], summary["loss"]["max_value"]) == (0.2, 0.2, 1)
    assert summary["loss"]["logged_points"] == 5
    assert summary["odd"]["last_value"] == "NaN"
    delivery = shown["delivery"]
    assert isinstance(delivery, dict)
    assert delivery["is_complete"]
    assert [rejection["reason"] for rejection in delivery["rejections"]] == ["param_changed"]


def test_history_says_who_changed_what_with_values_and_rejections(trained: TrainedFolder) -> None:
    found = mltrail("runs", "history", trained.first, "--data", trained.data, "--json").json()["changes"]
    assert isinstance(found, list)
    team = [change["data"]["value"] for change in found if change["data"].get("key") == "team"]
    assert team == ["red", "blue"]
    rejected = [change for change in found if change["rejected"]]
    assert [(change["event"], change["data"]["value"]) for change in rejected] == [("param_logged", "0.2")]
    assert "'0.1'" in rejected[0]["rejected"]
    assert {change["known"] for change in found} == {"claimed"}
    assert [change["event"] for change in found if change["event"] == "artifact_stored"] == ["artifact_stored"]
    text = mltrail("runs", "history", trained.first, "--data", trained.data).out
    assert "red → blue" in text


def test_history_of_a_metric_gives_its_points(trained: TrainedFolder) -> None:
    found = mltrail("runs", "history", trained.first, "loss", "--data", trained.data, "--json").json()["metrics"]
    assert isinstance(found, list)
    assert [(point["step"], point["value"]) for point in found] == [(step, 1 / (step + 1)) for step in range(5)]


def test_errors_are_told_to_people_and_to_machines(trained: TrainedFolder) -> None:
    unknown = mltrail("runs", "show", "f" * 32, "--data", trained.data, "--json")
    assert unknown.status == 1
    assert unknown.json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    malformed = mltrail("runs", "list", "--filter", "metrics.loss >> 1", "--data", trained.data)
    assert malformed.status == 1
    assert malformed.err.startswith("mltrail: filter, line 1, column 14")
    nothing = mltrail("runs", "list", "--experiment", "nope", "--data", trained.data, "--json")
    assert nothing.json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    ambiguous = mltrail("runs", "show", "", "--data", trained.data, "--json")
    assert ambiguous.json()["error_code"] == "INVALID_PARAMETER_VALUE"


def test_a_url_is_no_data_folder() -> None:
    ended = mltrail("runs", "list", "--data", "http://127.0.0.1:5000")
    assert ended.status == 2
    assert "is no folder" in ended.err


def test_artifacts_are_listed_downloaded_and_verified(trained: TrainedFolder, tmp_path: Path) -> None:
    listed = mltrail("artifacts", "list", trained.first, "--data", trained.data, "--json").json()["artifacts"]
    assert isinstance(listed, list)
    assert [(one["path"], one["size_bytes"]) for one in listed] == [("reports/report.txt", len(REPORT))]
    done = mltrail("artifacts", "download", trained.first, "reports", "--to", tmp_path, "--data", trained.data)
    assert done.status == 0, done.err
    assert (tmp_path / "reports" / "report.txt").read_text() == REPORT
    again = mltrail("artifacts", "download", trained.first, "--to", tmp_path, "--data", trained.data)
    assert again.status == 1
    assert "is there already" in again.err
    assert mltrail("artifacts", "verify", "--data", trained.data).status == 0


def test_log_status_tells_identity_durability_and_lag(trained: TrainedFolder) -> None:
    mltrail("runs", "list", "--data", trained.data)
    status = mltrail("log", "status", "--data", trained.data, "--json").json()
    assert status["durability"] == "fsync"
    assert status["lag"] == 0
    partitions = status["partitions"]
    assert isinstance(partitions, list)
    assert len(partitions) == 17
    assert sum(partition["head"] for partition in partitions) == status["records"]
    assert str(status["log_id"]) in mltrail("log", "status", "--data", trained.data).out


def test_version_is_printed() -> None:
    assert mltrail_process("--version").out.strip()[0].isdigit()


def test_help_names_every_command() -> None:
    text = mltrail("--help").out
    for name in ("server", "ui", "demo", "rebuild", "log", "experiments", "runs", "artifacts"):
        assert name in text
    assert mltrail_process("nonsense").status == 2
