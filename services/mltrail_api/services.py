"""What every endpoint is given: the ports it works on. The command line composes them, one set for each worker."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mltrail_api.appender import Appender
from mltrail_api.begun import Begun, Found
from mltrail_api.identity.verifier import TokenVerifier
from mltrail_api.mlflow.runs.own_runs import OwnRuns
from mltrail_api.mlflow.runs.states import RunStates
from mltrail_api.mlflow.runs.texts import RunTexts
from mltrail_api.search.experiment_view import ExperimentView
from mltrail_api.series.export import Exports
from mltrail_api.visibility import Visibility
from mltrail_core.artifacts import ArtifactStore
from mltrail_core.liveness import Liveness
from mltrail_core.log import EventLog
from mltrail_core.near import NearProjector
from mltrail_core.readmodel.store import ReadModel
from mltrail_core.registry_rules import STOCK_STAGES
from mltrail_core.version import mltrail_version
from mltrail_core.webhook_secrets import WebhookSecrets
from mltrail_core.webhook_target import TargetRules


@dataclass(frozen=True, slots=True)
class Services:
    """The ports of one API worker. `close` ends what the API itself started; the ports stay open."""

    log: EventLog
    read_model: ReadModel
    artifacts: ArtifactStore
    liveness: Liveness
    appender: Appender
    visibility: Visibility
    run_states: RunStates
    begun_experiments: Begun[ExperimentView]
    active_experiments: Found[ExperimentView]
    tokens: TokenVerifier
    exports: Exports
    version: str
    stages: tuple[str, ...] = STOCK_STAGES
    """What versions of registered models may be brought to."""
    webhook_secrets: WebhookSecrets = field(default_factory=lambda: WebhookSecrets(None))
    webhook_targets: TargetRules = field(default_factory=TargetRules)
    """Which URLs webhooks may call."""
    own_runs: OwnRuns = field(default_factory=OwnRuns)
    run_texts: RunTexts = field(default_factory=RunTexts)

    def close(self) -> None:
        """Append what waits, then end the worker's threads."""
        self.appender.close()
        self.visibility.close()


def compose(
    log: EventLog,
    read_model: ReadModel,
    artifacts: ArtifactStore,
    liveness: Liveness,
    *,
    stages: tuple[str, ...] = STOCK_STAGES,
    webhook_secrets: Path | None = None,
    webhook_targets: TargetRules | None = None,
    near: NearProjector | None = None,
) -> Services:
    """Return the services of a new API worker on open ports; `near` is what it has of its server's own projector."""
    visibility = Visibility(log, read_model, near)
    return Services(
        log=log,
        read_model=read_model,
        artifacts=artifacts,
        liveness=liveness,
        appender=Appender(log),
        visibility=visibility,
        run_states=RunStates(visibility),
        begun_experiments=Begun(),
        active_experiments=Found(),
        tokens=TokenVerifier(log, read_model, visibility),
        exports=Exports(read_model, visibility),
        version=mltrail_version(),
        stages=stages,
        webhook_secrets=WebhookSecrets(webhook_secrets),
        webhook_targets=webhook_targets or TargetRules(),
    )
