"""What the demo claims, each claim checked against what the trainers say that they sent."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from sqlalchemy import Connection, select

from mltrail_api.pages.queries import artifacts_of, metric_summaries_of
from mltrail_api.search.view import load_run
from mltrail_api.v1.delivered import load_delivery
from mltrail_cli.composition import Ports
from mltrail_cli.demo.trainers import Trainer
from mltrail_cli.demo.training import Trained
from mltrail_core.artifacts import ArtifactStore
from mltrail_core.errors import NotFound
from mltrail_core.readmodel.tables import model_versions
from mltrail_projector.rebuild import Different, rebuild

MODEL_NAME = "digits"
_ARTIFACTS_A_RUN = 2
_RECORDED_BY_ITSELF = "mltrail/"
_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that holds or doesn't, and the detail that shows it."""

    text: str
    detail: str
    holds: bool


def trained_claim(trainers: Sequence[Trainer]) -> Claim:
    """Claim that every process ended well and made its runs."""
    failed = [trainer for trainer in trainers if trainer.process.returncode or len(trainer.trained) < trainer.runs]
    runs = sum(len(trainer.trained) for trainer in trainers)
    detail = f"{runs} runs by {len(trainers)} concurrent processes"
    for trainer in failed:
        detail += f"\nprocess {trainer.number} ended with status {trainer.process.returncode}:\n{trainer.faults}"
    return Claim("every training ended well", detail, not failed)


def content_claim(ports: Ports, trainers: Sequence[Trainer]) -> Claim:
    """Claim that the read model holds exactly what was sent."""
    sent = [run for trainer in trainers for run in trainer.trained]
    with ports.read_model.reading() as connection:
        faults = [fault for run in sent for fault in _faults(connection, run)]
    points = sum(run.points for run in sent)
    return Claim("the read model holds what was sent", "; ".join(faults) or f"{points} points", not faults)


def delivery_claim(ports: Ports, trainers: Sequence[Trainer]) -> Claim:
    """Claim that of every run that came through the SDK all records arrived, and none was rejected."""
    sent = [run for trainer in trainers if trainer.client == "mltrail" for run in trainer.trained]
    records, faults = 0, []
    with ports.read_model.reading() as connection:
        for run in sent:
            delivery = load_delivery(connection, run.run_id)
            if delivery is None or not delivery.is_complete or delivery.rejections:
                faults.append(f"{run.run_id} is not complete")
            else:
                records += sum(producer.received for producer in delivery.producers)
    detail = "; ".join(faults) or f"received 1..N, missing none: {records} records of {len(sent)} SDK runs"
    return Claim("every record was delivered", detail, bool(sent) and not faults)


def artifacts_claim(ports: Ports, trainers: Sequence[Trainer]) -> Claim:
    """Claim that every file is there and has the hash that the log says."""
    sent = [run.run_id for trainer in trainers for run in trainer.trained]
    with ports.read_model.reading() as connection:
        found = artifacts_of(connection, sent)
    stored = [one for one in found if not one.path.startswith(_RECORDED_BY_ITSELF)]
    faults = [one.path for one in found if one.sha256 is None or _hash(ports.artifacts, one.sha256) != one.sha256]
    if len(stored) != _ARTIFACTS_A_RUN * len(sent):
        faults.append(f"{len(stored)} files instead of {_ARTIFACTS_A_RUN * len(sent)}")
    detail = "; ".join(faults) or f"{len(found)} files hashed again"
    return Claim("every artifact is intact", detail, bool(stored) and not faults)


def registered_claim(ports: Ports, url: str, best: Trained) -> Claim:
    """Register the best model over MLflow's protocol, and claim that the registry has it."""
    text = "the best model is registered"
    with httpx.Client(base_url=f"{url}/api/2.0/mlflow", timeout=_TIMEOUT_S, trust_env=False) as client:
        created = client.post("/registered-models/create", json={"name": MODEL_NAME})
        if created.status_code != 200 and created.json().get("error_code") != "RESOURCE_ALREADY_EXISTS":
            return Claim(text, created.text, False)
        with ports.read_model.reading() as connection:
            run = load_run(connection, best.run_id)
        if run is None:
            return Claim(text, f"run {best.run_id} is unknown", False)
        version = {"name": MODEL_NAME, "run_id": best.run_id, "source": f"{run.artifact_uri}/model"}
        answer = client.post("/model-versions/create", json=version)
    if answer.status_code != 200:
        return Claim(text, answer.text, False)
    number = int(answer.json()["model_version"]["version"])
    with ports.read_model.reading() as connection:
        table = model_versions.c
        query = select(table.run_id).where(table.name == MODEL_NAME, table.version == number)
        found = connection.execute(query).scalar()
    return Claim(text, f"{MODEL_NAME} version {number}: {best.name}", found == best.run_id)


def rebuilt_claim(ports: Ports) -> Claim:
    """Rebuild the read model from the log while the server runs, and claim that both are equal."""
    try:
        report = rebuild(ports.log, ports.read_model)
    except Different as different:
        return Claim("the log gives the same read model again", str(different), False)
    detail = f"{report.records} records, digest {report.new_digest.whole[:16]}…"
    return Claim("the log gives the same read model again", detail, report.is_equal)


def _faults(connection: Connection, sent: Trained) -> list[str]:
    run = load_run(connection, sent.run_id)
    if run is None:
        return [f"run {sent.run_id} is unknown"]
    metrics = {metric.key: metric for metric in metric_summaries_of(connection, sent.run_id)}
    # What the machine did is recorded by the SDK itself, from the tenth second on.
    points = sum(metric.logged_points for key, metric in metrics.items() if not key.startswith("system/"))
    faults = []
    if run.status != "FINISHED":
        faults.append(f"run {sent.run_id} is {run.status}")
    if points != sent.points or "accuracy" not in metrics or metrics["accuracy"].last_value != sent.accuracy:
        faults.append(f"run {sent.run_id} has {points} points instead of {sent.points}, or another accuracy")
    if len(run.params) != sent.params:
        faults.append(f"run {sent.run_id} has {len(run.params)} params instead of {sent.params}")
    return faults


def _hash(store: ArtifactStore, sha256: str) -> str | None:
    hashed = hashlib.sha256()
    try:
        with store.open(sha256) as stream:
            for chunk in stream:
                hashed.update(chunk)
    except NotFound:
        return None
    return hashed.hexdigest()
