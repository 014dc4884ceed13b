"""Keras 3: `model.fit(…, callbacks=[MltrailCallback()])`."""

from __future__ import annotations

from collections.abc import Mapping

import keras

from mltrail._run import Run
from mltrail.integrations._training_run import TrainingRun


class MltrailCallback(keras.callbacks.Callback):
    """Logs the metrics of each epoch, of evaluations and, if wished for, of batches; params of fit and optimizer.

    Args:
        run: the run to log to; None takes the active one, else starts one, which ends with the fit.
        experiment: of a run that is started here.
        name: of a run that is started here.
        batch_interval: every how many batches the metrics so far are logged, as `batch/…`; 0 for never.
    """

    def __init__(
        self,
        run: Run | None = None,
        *,
        experiment: str | None = None,
        name: str | None = None,
        batch_interval: int = 0,
    ) -> None:
        super().__init__()
        self._target = TrainingRun(run, experiment=experiment, name=name)
        self._batch_interval = batch_interval
        self._batches = 0
        self._epochs = 0
        self._is_in_fit = False

    @property
    def run(self) -> Run | None:
        """The run; None before the first fit."""
        return self._target.run

    def on_train_begin(self, logs: Mapping[str, object] | None = None) -> None:
        """Start a run if there is none, and log the params."""
        self._is_in_fit = True
        self._target.begin()
        self._target.log_params(self.params or {}, "fit/")
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is not None:
            config: Mapping[str, object] = optimizer.get_config()
            self._target.log_params(config, "optimizer/")

    def on_train_batch_end(self, batch: int, logs: Mapping[str, object] | None = None) -> None:
        """Log the metrics of the epoch so far, every `batch_interval` batches."""
        self._batches += 1
        if self._batch_interval and self._batches % self._batch_interval == 0:
            self._target.log_metrics(logs or {}, self._batches, "batch/")

    def on_epoch_end(self, epoch: int, logs: Mapping[str, object] | None = None) -> None:
        """Log the metrics of the epoch."""
        self._epochs = epoch + 1
        self._target.log_metrics(logs or {}, epoch)

    def on_test_end(self, logs: Mapping[str, object] | None = None) -> None:
        """Log what `model.evaluate` found; validation within a fit is in the epoch's metrics already."""
        if not self._is_in_fit:
            self._target.log_metrics(logs or {}, self._epochs, "test/")

    def on_train_end(self, logs: Mapping[str, object] | None = None) -> None:
        """End the run if it was started here."""
        self._is_in_fit = False
        self._target.end()
