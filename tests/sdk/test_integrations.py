"""Callbacks of training frameworks: driven as the frameworks document it, and by those that are installed."""

from __future__ import annotations

import argparse
import importlib
import math
import pickle
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

import mltrail
from mltrail.integrations._training_run import TrainingRun, key_of, numbers_of, texts_of
from tests.sdk.projected import ProjectedLog

_MODULES = ("keras", "lightning", "transformers")


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[..., types.ModuleType]:
    """Puts a module in the place of a framework's."""

    def put(name: str, **content: object) -> types.ModuleType:
        module = types.ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
        return module

    for name in _MODULES:
        monkeypatch.delitem(sys.modules, f"mltrail.integrations.{name}", raising=False)
    return put


@pytest.fixture(autouse=True)
def forget_integrations() -> None:
    """Let each test load an integration on the framework that it has then."""
    for name in _MODULES:
        sys.modules.pop(f"mltrail.integrations.{name}", None)


class KerasCallback:
    """`keras.callbacks.Callback`, as far as it is documented: the fit sets `params` and `model`."""

    def __init__(self) -> None:
        self.params: dict[str, object] | None = None
        self.model: object = None


class Adam:
    def get_config(self) -> dict[str, object]:
        return {"name": "adam", "learning_rate": 0.01, "nested": {"beta": 0.9}}


def test_a_keras_fit_and_an_evaluation_after_it(
    stand_in: Callable[..., types.ModuleType], folder: Path, projected: ProjectedLog
) -> None:
    stand_in("keras", callbacks=types.SimpleNamespace(Callback=KerasCallback))
    callback = importlib.import_module("mltrail.integrations.keras").MltrailCallback(
        experiment="iris", batch_interval=2
    )
    mltrail.init(folder)
    callback.params = {"epochs": 2, "steps": 2, "verbose": 0}
    callback.model = types.SimpleNamespace(optimizer=Adam())
    callback.on_train_begin()
    for epoch in range(2):
        for batch in range(2):
            callback.on_train_batch_end(batch, {"loss": 1.0 - epoch / 2 - batch / 4})
        callback.on_test_end({"loss": 9.0})  # validation within the fit, which `on_epoch_end` has as val_…
        callback.on_epoch_end(epoch, {"loss": 0.5 - epoch / 4, "val_loss": 0.75, "note": "not a number"})
    callback.on_train_end()
    callback.on_test_end({"loss": 0.125})
    run_id = callback.run.id
    assert projected.run(run_id)["status"] == "FINISHED"
    assert projected.params(run_id) == {
        "fit/epochs": "2",
        "fit/steps": "2",
        "fit/verbose": "0",
        "optimizer/name": "adam",
        "optimizer/learning_rate": "0.01",
        "optimizer/nested/beta": "0.9",
    }
    assert projected.values(run_id, "loss") == [0.5, 0.25]
    assert projected.values(run_id, "val_loss") == [0.75, 0.75]
    assert projected.values(run_id, "batch/loss") == [0.75, 0.25]
    assert [(point.step, point.value) for point in projected.points(run_id) if point.key == "test/loss"] == [(2, 0.125)]


@pytest.mark.filterwarnings("ignore")  # of Keras about NumPy
def test_keras_itself(folder: Path, projected: ProjectedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    pytest.importorskip("jax", reason="needs keras and jax[cpu], which no extra brings: pip install keras 'jax[cpu]'")
    keras = pytest.importorskip("keras", reason="needs keras and jax[cpu], which no extra brings")
    import numpy as np

    callback_class = importlib.import_module("mltrail.integrations.keras").MltrailCallback
    mltrail.init(folder)
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(learning_rate=0.05), loss="mse", metrics=["mae"])
    inputs = np.random.default_rng(0).normal(size=(32, 3))
    targets = inputs @ np.array([1.0, -2.0, 0.5])
    with mltrail.start_run(experiment="keras") as run:
        callback = callback_class()
        fitted = model.fit(
            inputs, targets, epochs=3, validation_split=0.25, batch_size=8, verbose=0, callbacks=[callback]
        )
        found = model.evaluate(inputs, targets, verbose=0, callbacks=[callback], return_dict=True)
        assert callback.run is run
        assert not run.is_ended
    assert projected.values(run.id, "loss") == pytest.approx(fitted.history["loss"])
    assert projected.values(run.id, "val_mae") == pytest.approx(fitted.history["val_mae"])
    assert projected.values(run.id, "test/loss") == pytest.approx([found["loss"]])
    assert projected.params(run.id)["fit/epochs"] == "3"
    assert float(str(projected.params(run.id)["optimizer/learning_rate"])) == pytest.approx(0.05)


class HuggingFaceArguments:
    run_name = "large, again"

    def to_sanitized_dict(self) -> dict[str, object]:
        return {"learning_rate": 5e-5, "output_dir": "out", "hub_token": "<HUB_TOKEN>"}


def _train_with(callback_handler: Callable[..., None]) -> None:
    """Call the events of a Trainer's training, and of an evaluation after it."""
    for event, kwargs in (
        ("on_train_begin", {}),
        ("on_log", {"logs": {"loss": 0.5, "epoch": 1.0}}),
        ("on_log", {"logs": {"eval_loss": 0.25, "eval_note": "fine"}}),
        ("on_train_end", {}),
        ("on_log", {"logs": {"eval_loss": 0.125}}),
    ):
        callback_handler(event, **kwargs)


@pytest.mark.parametrize("is_real", [False, True], ids=["as documented", "its own handler"])
def test_a_hugging_face_training_and_an_evaluation_after_it(
    stand_in: Callable[..., types.ModuleType], folder: Path, projected: ProjectedLog, is_real: bool
) -> None:
    args = HuggingFaceArguments()
    model = types.SimpleNamespace(config=types.SimpleNamespace(to_dict=lambda: {"hidden_size": 8, "dtype": None}))
    if is_real:
        real = pytest.importorskip("transformers.trainer_callback", reason="needs transformers, which no extra brings")
    else:
        stand_in("transformers", TrainerCallback=object)
    callback = importlib.import_module("mltrail.integrations.transformers").MltrailCallback(experiment="bert")
    mltrail.init(folder)
    state = types.SimpleNamespace(is_world_process_zero=True, global_step=7)
    if is_real:
        handler = real.CallbackHandler([callback], model, None, None, None)
        control = real.TrainerControl()
        _train_with(lambda event, **kwargs: handler.call_event(event, args, state, control, **kwargs))
    else:
        _train_with(lambda event, **kwargs: getattr(callback, event)(args, state, None, model=model, **kwargs))
    run_id = callback.run.id
    assert projected.run(run_id)["status"] == "FINISHED"
    assert projected.run(run_id)["name"] == "large, again"
    assert projected.params(run_id)["learning_rate"] == "5e-05"
    assert projected.params(run_id)["model/hidden_size"] == "8"
    assert projected.values(run_id, "loss") == [0.5]
    assert projected.values(run_id, "eval_loss") == [0.25, 0.125]
    assert {point.step for point in projected.points(run_id)} == {7}


def test_other_processes_of_a_hugging_face_training_log_nothing(
    stand_in: Callable[..., types.ModuleType], folder: Path
) -> None:
    stand_in("transformers", TrainerCallback=object)
    callback = importlib.import_module("mltrail.integrations.transformers").MltrailCallback()
    mltrail.init(folder)
    state = types.SimpleNamespace(is_world_process_zero=False, global_step=1)
    _train_with(lambda event, **kwargs: getattr(callback, event)(HuggingFaceArguments(), state, None, **kwargs))
    assert callback.run is None
    assert not (folder / "log").exists() or mltrail.search_runs() == []


def test_a_lightning_fit_and_a_test_after_it(
    stand_in: Callable[..., types.ModuleType], folder: Path, projected: ProjectedLog, tmp_path: Path
) -> None:
    # What `lightning.pytorch.loggers.logger` documents: a base class, and decorators that matter on ranks above 0 only.
    stand_in("lightning")
    stand_in("lightning.pytorch")
    stand_in("lightning.pytorch.loggers")
    stand_in("lightning.pytorch.loggers.logger", Logger=object, rank_zero_experiment=lambda method: method)
    stand_in("lightning.pytorch.utilities", rank_zero_only=lambda method: method)
    logger_class = importlib.import_module("mltrail.integrations.lightning").MltrailLogger
    mltrail.init(folder)
    logger = logger_class("mnist", "gbm", log_checkpoints=True)
    assert (logger.name, logger.version) == ("mnist", None)
    logger.log_hyperparams(argparse.Namespace(lr=0.1, net={"depth": 3}))
    logger.log_metrics({"train/loss": 0.5, "epoch": 0}, step=10)
    logger.log_metrics({"val_loss": math.nan}, step=20)
    best = tmp_path / "epoch=1.ckpt"
    best.write_bytes(b"weights")
    logger.after_save_checkpoint(types.SimpleNamespace(best_model_path=str(best), last_model_path=""))
    logger.finalize("success")
    logger.log_metrics({"test_loss": 0.25}, step=20)
    logger.finalize("success")
    assert logger.name == "mnist"
    assert projected.run(logger.version)["status"] == "FINISHED"
    assert projected.run(logger.version)["name"] == "gbm"
    assert projected.params(logger.version) == {"lr": "0.1", "net/depth": "3"}
    assert projected.values(logger.version, "train/loss") == [0.5]
    assert projected.values(logger.version, "test_loss") == [0.25]
    assert list(projected.artifacts(logger.version)) == ["checkpoints/epoch=1.ckpt"]


def test_a_failed_training_fails_a_run_of_its_own_and_no_other(folder: Path, projected: ProjectedLog) -> None:
    mltrail.init(folder)
    own = TrainingRun(None, experiment=None, name=None)
    own_id = own.begin().id
    own.end("FAILED")
    with mltrail.start_run() as run:
        given = TrainingRun(run, experiment=None, name=None)
        given.log_metrics({"loss": 1.0}, 0)
        given.end("FAILED")
        assert not run.is_ended
    assert (projected.run(own_id)["status"], projected.run(run.id)["status"]) == ("FAILED", "FINISHED")


def test_a_spawned_process_goes_on_with_the_run(folder: Path, projected: ProjectedLog) -> None:
    mltrail.init(folder)
    first = TrainingRun(None, experiment="ddp", name="large")
    first.log_metrics({"loss": 1.0}, 0)
    spawned: TrainingRun = pickle.loads(pickle.dumps(first))
    spawned.log_metrics({"loss": 0.5}, 1)
    assert first.run is not None
    assert spawned.begin().id == first.run.id
    spawned.end()
    first.end()
    assert sorted(projected.values(first.run.id, "loss")) == [0.5, 1.0]


def test_names_and_values_of_frameworks_become_keys_and_numbers() -> None:
    assert key_of("val/acc@1") == "val/acc_1"
    assert key_of("/lead//slash/") == "lead/slash"
    assert key_of("") is None
    assert key_of("../up") is None
    assert numbers_of({"a": 1, "b": "2", "c": None, "d": [1.0, 2.0], "e": 0.5}, "x/") == {"x/a": 1.0, "x/e": 0.5}
    assert texts_of({"a": {"b": [1, 2]}, "long": "x" * 7000}) == {"a/b": "[1, 2]", "long": "x" * 6000}
