"""PyTorch Lightning: `Trainer(logger=MltrailLogger())`, of the package `lightning` or `pytorch_lightning`."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

try:
    from lightning.pytorch.loggers.logger import Logger, rank_zero_experiment
    from lightning.pytorch.utilities import rank_zero_only
except ImportError:  # the same under the name that it had before
    from pytorch_lightning.loggers.logger import Logger, rank_zero_experiment
    from pytorch_lightning.utilities import rank_zero_only

from mltrail._fluent import current_session
from mltrail._run import Run
from mltrail.integrations._training_run import TrainingRun

_STATUSES = {"success": "FINISHED", "finished": "FINISHED", "failed": "FAILED", "aborted": "KILLED"}


class _Checkpoints(Protocol):
    """What is used of `ModelCheckpoint`."""

    best_model_path: str
    last_model_path: str


class MltrailLogger(Logger):
    """Logs what `self.log` of a module says, its hyperparameters and, if wished for, checkpoints, from rank 0 only.

    Args:
        experiment: the experiment's name; None takes that of `mltrail.init`.
        name: of a run that is started here.
        run: the run to log to; None takes the active one, else starts one, which ends with the fit or test.
        run_id: go on with this run.
        save_dir: where Lightning puts its checkpoints; None leaves that to Lightning.
        log_checkpoints: whether the best and the last checkpoint are kept as artifacts.
    """

    def __init__(
        self,
        experiment: str | None = None,
        name: str | None = None,
        *,
        run: Run | None = None,
        run_id: str | None = None,
        save_dir: str | os.PathLike[str] | None = None,
        log_checkpoints: bool = False,
    ) -> None:
        super().__init__()
        self._experiment_name = experiment
        self._target = TrainingRun(run, experiment=experiment, name=name, run_id=run_id)
        self._save_dir = None if save_dir is None else os.fspath(save_dir)
        self._logs_checkpoints = log_checkpoints
        self._checkpoints: _Checkpoints | None = None

    @property
    @rank_zero_experiment
    def experiment(self) -> Run:
        """The run, started when first asked for; in other processes than the first, Lightning's dummy."""
        return self._target.begin()

    @property
    def name(self) -> str:
        """The experiment's name, below which Lightning puts its checkpoints."""
        run = self._target.run
        if run is not None and run.experiment is not None:
            return run.experiment
        return self._experiment_name or current_session().settings.experiment

    @property
    def version(self) -> str | None:
        """The run's id; None before it was started, and in other processes than the first."""
        run = self._target.run
        return None if run is None else run.id

    @property
    def save_dir(self) -> str | None:
        """Where Lightning puts its checkpoints."""
        return self._save_dir

    @rank_zero_only
    def log_hyperparams(self, params: Mapping[str, object] | Namespace, *args: object, **kwargs: object) -> None:
        """Log params, nested ones with `/` between the keys."""
        self._target.log_params(vars(params) if isinstance(params, Namespace) else params)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, object], step: int | None = None) -> None:
        """Log what of it is a number."""
        self._target.log_metrics(metrics, step or 0)

    def after_save_checkpoint(self, checkpoint_callback: _Checkpoints) -> None:
        """Remember which checkpoints are to be kept."""
        self._checkpoints = checkpoint_callback

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Keep the checkpoints, and end the run if it was started here; what is logged later still arrives."""
        run = self._target.run
        if run is None or run.is_ended:
            return
        if self._logs_checkpoints and self._checkpoints is not None:
            for path in {self._checkpoints.best_model_path, self._checkpoints.last_model_path}:
                if path and Path(path).exists():
                    run.log_artifact(path, "checkpoints" if Path(path).is_file() else f"checkpoints/{Path(path).name}")
        self._target.end(_STATUSES.get(status, "FINISHED"))
