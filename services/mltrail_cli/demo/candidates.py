"""The models that the demo trains on scikit-learn's digits: small, of four families, each growing step by step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

STEPS = 15
"""Epochs, or how often a forest grows."""
_TREES_A_STEP = 5
_SEED = 7

Family = Literal["linear", "mlp", "forest", "extra_trees"]


class Classifier(Protocol):
    """What the demo asks of scikit-learn's estimators."""

    def score(self, inputs: npt.NDArray[np.float64], classes: npt.NDArray[np.int64]) -> float:
        """Return the share of inputs whose class is predicted."""

    def predict(self, inputs: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Return a class for each input."""

    def predict_proba(self, inputs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the probability of each class for each input."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model to train; `params` are what its estimator is made with."""

    family: Family
    params: dict[str, float | int]

    @property
    def name(self) -> str:
        """What its run is called."""
        return self.family + "".join(f" {key}={value:g}" for key, value in self.params.items())


CANDIDATES: tuple[tuple[Candidate, ...], ...] = (
    (Candidate("mlp", {"hidden": 32, "lr": 0.003}), Candidate("mlp", {"hidden": 32, "lr": 0.03})),
    (Candidate("forest", {"depth": 6}), Candidate("forest", {"depth": 14})),
    (Candidate("linear", {"alpha": 1e-4}), Candidate("linear", {"alpha": 1e-2})),
    (Candidate("extra_trees", {"depth": 6}), Candidate("extra_trees", {"depth": 14})),
    (Candidate("mlp", {"hidden": 96, "lr": 0.003}), Candidate("mlp", {"hidden": 96, "lr": 0.001})),
    (Candidate("forest", {"depth": 4}), Candidate("forest", {"depth": 10})),
    (Candidate("linear", {"alpha": 1e-3}), Candidate("linear", {"alpha": 1e-1})),
    (Candidate("extra_trees", {"depth": 4}), Candidate("extra_trees", {"depth": 20})),
)
"""What each of the demo's processes trains, one after the other."""


@dataclass(frozen=True, slots=True)
class Digits:
    """Images of 8 × 8 pixels (0 to 1) with the digit each shows, split in two."""

    train_inputs: npt.NDArray[np.float64]
    train_classes: npt.NDArray[np.int64]
    test_inputs: npt.NDArray[np.float64]
    test_classes: npt.NDArray[np.int64]


def digits() -> Digits:
    """Return the data set that scikit-learn ships, three quarters of it for training."""
    inputs, classes = load_digits(return_X_y=True)
    train_inputs, test_inputs, train_classes, test_classes = train_test_split(
        inputs / 16.0, classes, test_size=0.25, random_state=_SEED, stratify=classes
    )
    return Digits(train_inputs, train_classes, test_inputs, test_classes)


def train(candidate: Candidate, data: Digits) -> Iterator[tuple[Classifier, dict[str, float]]]:
    """Yield the model after each of `STEPS` steps, with its metrics."""
    for model in _growing(candidate, data):
        metrics = {
            "train_loss": float(log_loss(data.train_classes, model.predict_proba(data.train_inputs))),
            "accuracy": float(model.score(data.test_inputs, data.test_classes)),
        }
        yield model, metrics


def _growing(candidate: Candidate, data: Digits) -> Iterator[Classifier]:
    params, classes = candidate.params, np.unique(data.train_classes)
    match candidate.family:
        case "mlp" | "linear":
            if candidate.family == "mlp":
                model = MLPClassifier((int(params["hidden"]),), learning_rate_init=params["lr"], random_state=_SEED)
            else:
                model = SGDClassifier(loss="log_loss", alpha=params["alpha"], random_state=_SEED)
            for _ in range(STEPS):
                model.partial_fit(data.train_inputs, data.train_classes, classes=classes)
                yield model
        case "forest" | "extra_trees":
            make = RandomForestClassifier if candidate.family == "forest" else ExtraTreesClassifier
            model = make(n_estimators=0, max_depth=params["depth"], warm_start=True, random_state=_SEED)
            for step in range(1, STEPS + 1):
                model.set_params(n_estimators=step * _TREES_A_STEP)
                model.fit(data.train_inputs, data.train_classes)
                yield model
