"""One of the demo's training processes: `python -m mltrail_cli.demo.training CLIENT URL EXPERIMENT NUMBER`.

The same code logs through both clients, `mltrail` and the stock `mlflow`. Each line of its output is a JSON object.
"""

from __future__ import annotations

import json
import pickle
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal, Protocol, cast

from sklearn.metrics import classification_report

from mltrail_cli.demo.candidates import CANDIDATES, Candidate, Digits, digits, train

ClientName = Literal["mltrail", "mlflow"]


@dataclass(frozen=True, slots=True)
class Stepped:
    """A line of output: the process has come this far."""

    name: str
    step: int


@dataclass(frozen=True, slots=True)
class Trained:
    """A line of output: a run has ended, and this is what was sent to it."""

    run_id: str
    name: str
    accuracy: float
    points: int
    params: int


class Client(Protocol):
    """What `mltrail` and `mlflow` have in common, as modules."""

    def log_params(self, params: Mapping[str, object]) -> object:
        """Log params of the active run."""

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> object:
        """Log metrics of the active run."""

    def set_tag(self, key: str, value: object) -> object:
        """Set a tag of the active run."""

    def log_artifact(self, path: str, artifact_path: str | None = None) -> object:
        """Upload a file."""


def main() -> None:
    """Train this process's candidates, one run each."""
    client_name, url, experiment, number = sys.argv[1:]
    data = digits()
    for candidate in CANDIDATES[int(number)]:
        with _run(client_name, url, experiment, candidate.name) as (client, run_id):
            accuracy, points = _train(client, client_name, candidate, data)
        _say(Trained(run_id, candidate.name, accuracy, points, len(_params(candidate))))


def _train(client: Client, client_name: str, candidate: Candidate, data: Digits) -> tuple[float, int]:
    """Return the last accuracy, and how many points were logged."""
    client.log_params(_params(candidate))
    client.set_tag("client", client_name)
    points = 0
    for step, trained in enumerate(train(candidate, data), start=1):
        model, metrics = trained
        client.log_metrics(metrics, step=step)
        points += len(metrics)
        _say(Stepped(candidate.name, step))
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.txt")
        report.write_text(classification_report(data.test_classes, model.predict(data.test_inputs)))
        file = Path(folder, "model.pkl")
        file.write_bytes(pickle.dumps(model))
        client.log_artifact(str(report))
        client.log_artifact(str(file), "model")
    return metrics["accuracy"], points


@contextmanager
def _run(client_name: str, url: str, experiment: str, name: str) -> Iterator[tuple[Client, str]]:
    """Give the client and the id of a new active run, which ends with the block."""
    if client_name == "mltrail":
        import mltrail

        mltrail.init(url)
        with mltrail.start_run(experiment=experiment, name=name) as run:
            yield cast(Client, mltrail), run.id
    else:
        mlflow = import_module("mlflow")
        mlflow.set_tracking_uri(url)
        mlflow.set_experiment(experiment)
        with mlflow.start_run(run_name=name) as active:
            yield cast(Client, mlflow), active.info.run_id


def _params(candidate: Candidate) -> dict[str, float | int | str]:
    return {"family": candidate.family, **candidate.params}


def _say(line: Stepped | Trained) -> None:
    print(json.dumps({"kind": type(line).__name__, **asdict(line)}), flush=True)


if __name__ == "__main__":
    main()
