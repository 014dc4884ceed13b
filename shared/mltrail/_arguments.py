"""Checks of what callers pass: a wrong argument raises at the call, where the stack trace shows who passed it."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import SupportsFloat, SupportsIndex, cast

from mltrail_core.rules import (
    ENDED_STATUSES,
    MAX_PARAM_CHARACTERS,
    MAX_TAG_CHARACTERS,
    experiment_name_fault,
    key_fault,
    path_fault,
    text_fault,
)

MIN_STEP, MAX_STEP = -(2**63), 2**63 - 1
_RUN_ID = re.compile(r"[a-zA-Z0-9][\w\-]{0,255}")


def checked_key(key: object) -> str:
    """Return the key of a param, metric or tag."""
    if not isinstance(key, str):
        raise TypeError(f"the key should be a str, found {type(key).__name__}: {key!r}")
    fault = key_fault(key)
    if fault:
        raise ValueError(fault)
    return str(key)


def number_of(key: object, value: object) -> float:
    """Return a metric's value as a float; NaN and ±Infinity are values, texts are not."""
    if isinstance(value, str | bytes | bytearray) or (not hasattr(value, "__float__") and not _is_index(value)):
        raise TypeError(f"metric {key!r}: the value should be a number, found {type(value).__name__}: {_shown(value)}")
    try:
        return float(cast(SupportsFloat, value))
    except (TypeError, ValueError, RuntimeError) as error:  # arrays of several numbers; torch raises RuntimeError
        raise TypeError(
            f"metric {key!r}: the value should be one number, found {type(value).__name__}: {error}; "
            "log_series takes many points"
        ) from error
    except OverflowError as error:
        raise ValueError(f"metric {key!r}: the value does not fit a 64-bit float: {error}") from error


def step_of(key: object, step: object) -> int:
    """Return a step as an integer of 64 bits; None is 0, and a float must be whole."""
    if step is None:
        return 0
    try:
        whole = operator.index(cast(SupportsIndex, step))
    except TypeError as error:
        as_float = _float_or_none(step)
        if as_float is None:
            raise TypeError(
                f"metric {key!r}: the step should be an integer, found {type(step).__name__}: {_shown(step)}"
            ) from error
        if not as_float.is_integer():
            raise ValueError(f"metric {key!r}: the step should be a whole number, found {step!r}") from None
        whole = int(as_float)
    if not MIN_STEP <= whole <= MAX_STEP:
        raise ValueError(f"metric {key!r}: the step {whole} does not fit 64 bits")
    return whole


def param_value(key: str, value: object) -> str:
    """Return a param's value as text."""
    return _text(f"value of param {key!r}", value, MAX_PARAM_CHARACTERS)


def tag_value(key: str, value: object) -> str:
    """Return a tag's value as text."""
    return _text(f"value of tag {key!r}", value, MAX_TAG_CHARACTERS)


def checked_path(path: str) -> str:
    """Return an artifact's path in its run."""
    fault = path_fault(path)
    if fault:
        raise ValueError(f"artifact: {fault}; expected a relative path such as 'plots/roc.png'")
    _refuse_surrogates("artifact's path", path)
    return path


def checked_run_id(run_id: object) -> str:
    """Return the id of a run."""
    if not isinstance(run_id, str) or not _RUN_ID.fullmatch(run_id):
        raise ValueError(f"{run_id!r} is not the id of a run; expected 32 hex digits, as `run.id` gives")
    return run_id


def checked_experiment(name: object) -> str:
    """Return the name of an experiment."""
    if not isinstance(name, str):
        raise TypeError(f"the experiment's name should be a str, found {type(name).__name__}: {name!r}")
    fault = experiment_name_fault(name)
    if fault:
        raise ValueError(fault)
    _refuse_surrogates("experiment's name", name)
    return name


def checked_name(name: object) -> str:
    """Return the name of a run: free text, as long as a tag's value may be."""
    if not isinstance(name, str):
        raise TypeError(f"the run's name should be a str, found {type(name).__name__}: {name!r}")
    return _text("run's name", name, MAX_TAG_CHARACTERS)


def checked_status(status: object) -> str:
    """Return the status that a run ends with."""
    if status not in ENDED_STATUSES:
        raise ValueError(f"a run can't end as {status!r}; expected one of {', '.join(ENDED_STATUSES)}")
    return str(status)


def _text(what: str, value: object, max_characters: int) -> str:
    text = value if type(value) is str else str(value)
    fault = text_fault(what, text, max_characters)
    if fault:
        raise ValueError(f"{fault}; log_artifact keeps texts of any size")
    _refuse_surrogates(what, text)
    return text


def _refuse_surrogates(what: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"the {what} is not valid text: {error}") from error


def _is_index(value: object) -> bool:
    return hasattr(value, "__index__")


def _float_or_none(value: object) -> float | None:
    convert: Callable[[], float] | None = getattr(value, "__float__", None)
    if convert is None:
        return None
    try:
        return float(convert())
    except (TypeError, ValueError, RuntimeError):
        return None


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."
