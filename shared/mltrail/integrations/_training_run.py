"""The run of a callback, and what frameworks hand to callbacks in the words of the SDK."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from mltrail._arguments import number_of
from mltrail._fluent import active_run, start_run
from mltrail._run import Run
from mltrail_core.rules import MAX_KEY_CHARACTERS, MAX_PARAM_CHARACTERS, key_fault

_NOT_OF_A_KEY = re.compile(r"[^\w.\- :/]")


class TrainingRun:
    """The run that a callback was given, else the active one, else one that it starts, and that ends with it."""

    def __init__(self, run: Run | None, *, experiment: str | None, name: str | None, run_id: str | None = None) -> None:
        self._given = run
        self._experiment = experiment
        self._name = name
        self._run_id = run_id
        self._run: Run | None = None
        self._is_own = False

    def __getstate__(self) -> dict[str, object]:
        """Return what a spawned process needs to go on with the same run; the run itself stays here."""
        run_id = self._run_id if self._run is None else self._run.id
        name = self._name if run_id is None else None  # the run has it already
        return vars(self) | {"_given": None, "_run": None, "_run_id": run_id, "_name": name}

    @property
    def run(self) -> Run | None:
        """The run; None before `begin`."""
        return self._run

    def begin(self, name: str | None = None) -> Run:
        """Return the run, and start one when there is none; called again after `end`, it is another one.

        `name` is the framework's for the run, if nobody has given one.
        """
        if self._run is not None and not self._run.is_ended:
            return self._run
        active = self._given or (active_run() if self._run_id is None else None)
        self._is_own = active is None
        if active is None and self._run_id is None:
            active = start_run(self._experiment, self._name or name)
        self._run = active or start_run(self._experiment, self._name, self._run_id, resume=True)
        return self._run

    def log_metrics(self, metrics: Mapping[str, object], step: int, prefix: str = "") -> None:
        """Log what of it is a number, also once the run has ended: then this process joins it for as long."""
        numbers = numbers_of(metrics, prefix)
        run = self.begin() if self._run is None else self._run
        if not run.is_ended:
            run.log_metrics(numbers, step)
        elif numbers:
            with start_run(run_id=run.id) as again:
                again.log_metrics(numbers, step)

    def log_params(self, params: Mapping[str, object], prefix: str = "") -> None:
        """Log params, nested ones with `/` between the keys; texts that are too long are cut."""
        self.begin().log_params(texts_of(params, prefix))

    def end(self, status: str | None = None) -> None:
        """End the run if it is the callback's own."""
        if self._run is not None and self._is_own:
            self._run.end(status)


def numbers_of(metrics: Mapping[str, object], prefix: str = "") -> dict[str, float]:
    """Return what of it is one number; frameworks mix in texts, arrays and None."""
    found: dict[str, float] = {}
    for name, value in metrics.items():
        key = key_of(prefix + str(name))
        if key is None:
            continue
        try:
            found[key] = number_of(key, value)
        except (TypeError, ValueError):
            continue
    return found


def texts_of(params: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Return params as texts of a param's length, nested mappings flattened."""
    return dict(_flattened(params, prefix))


def key_of(name: str) -> str | None:
    """Return the name with `_` for what a key can't hold, None when nothing is left of it."""
    key = posixpath.normpath(_NOT_OF_A_KEY.sub("_", name).strip("/"))[:MAX_KEY_CHARACTERS].rstrip("/")
    return None if key_fault(key) else key


def _flattened(params: Mapping[str, object], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in params.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{prefix}{name}/")
            continue
        key = key_of(f"{prefix}{name}")
        if key is not None:
            yield key, str(value)[:MAX_PARAM_CHARACTERS]
