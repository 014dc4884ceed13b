"""Hugging Face Transformers: `Trainer(…, callbacks=[MltrailCallback()])`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from transformers import TrainerCallback

from mltrail._run import Run
from mltrail.integrations._training_run import TrainingRun
from mltrail_core.rules import MAX_TAG_CHARACTERS


class _Arguments(Protocol):
    """What is used of `TrainingArguments`."""

    def to_sanitized_dict(self) -> Mapping[str, object]: ...


class _State(Protocol):
    """What is used of `TrainerState`."""

    global_step: int
    is_world_process_zero: bool


class MltrailCallback(TrainerCallback):
    """Logs what the Trainer logs, its arguments and the model's configuration, from the first process only.

    Args:
        run: the run to log to; None takes the active one, else starts one, which ends with the training. What is
            evaluated afterwards is logged to it all the same.
        experiment: of a run that is started here.
        name: of a run that is started here; None takes the `run_name` of the training's arguments.
    """

    def __init__(self, run: Run | None = None, *, experiment: str | None = None, name: str | None = None) -> None:
        self._target = TrainingRun(run, experiment=experiment, name=name)

    @property
    def run(self) -> Run | None:
        """The run; None before the first training, and in all processes but the first."""
        return self._target.run

    def on_train_begin(
        self, args: _Arguments, state: _State, control: object, model: object = None, **kwargs: object
    ) -> None:
        """Start a run if there is none, and log the params."""
        if not state.is_world_process_zero:
            return
        run_name = getattr(args, "run_name", None)
        self._target.begin(str(run_name)[:MAX_TAG_CHARACTERS] if run_name else None)
        self._target.log_params(args.to_sanitized_dict())
        to_dict = getattr(getattr(model, "config", None), "to_dict", None)
        if to_dict is not None:
            self._target.log_params(to_dict(), "model/")

    def on_log(
        self,
        args: _Arguments,
        state: _State,
        control: object,
        logs: Mapping[str, object] | None = None,
        **kwargs: object,
    ) -> None:
        """Log the numbers that the Trainer logs."""
        if state.is_world_process_zero:
            self._target.log_metrics(logs or {}, state.global_step)

    def on_train_end(self, args: _Arguments, state: _State, control: object, **kwargs: object) -> None:
        """End the run if it was started here."""
        self._target.end()
