"""What runs record by themselves: decided by `init`, from its arguments and the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_SYSTEM_METRICS_INTERVAL_S = 10.0
"""As MLflow's; 13 points each time cost less than 10 KB an hour."""

_LOCAL_RANK_VARIABLES = ("LOCAL_RANK", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID")
_RANK_VARIABLES = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK")


@dataclass(frozen=True, slots=True)
class Recording:
    """What is switched on. An interval of 0 is off. Variables of the environment are never recorded."""

    code: bool = True
    """Commit, branch, origin, and the diff of a tree that was changed."""
    environment: bool = True
    """Packages, machine, and the arguments of the program."""
    system_metrics_interval_s: float = DEFAULT_SYSTEM_METRICS_INTERVAL_S
    console: bool = False
    node_id: str | None = None
    """Stands in the names of system metrics, so that those of several nodes differ."""
    is_launched: bool = False
    """Whether a launcher has started several processes, this one among them."""
    is_first_on_node: bool = True
    """Whether this is the process of its node that tells how busy the node is."""


def read_recording(
    environment: Mapping[str, str],
    *,
    record_code: bool | None = None,
    record_environment: bool | None = None,
    system_metrics_interval_s: float | None = None,
    console: bool | None = None,
) -> Recording:
    """Return what arguments and environment (MLTRAIL_RECORD_CODE, MLTRAIL_RECORD_ENVIRONMENT,
    MLTRAIL_SYSTEM_METRICS_INTERVAL_S, MLTRAIL_CONSOLE, MLTRAIL_NODE_ID) ask for; an argument wins.

    Raises:
        ValueError: a variable is not a word that is known, or the interval is negative.
    """
    local_rank = next((environment[name] for name in _LOCAL_RANK_VARIABLES if environment.get(name)), "0")
    return Recording(
        code=_switch(environment, "MLTRAIL_RECORD_CODE", record_code, is_default=True),
        environment=_switch(environment, "MLTRAIL_RECORD_ENVIRONMENT", record_environment, is_default=True),
        system_metrics_interval_s=_interval_s(environment, system_metrics_interval_s),
        console=_switch(environment, "MLTRAIL_CONSOLE", console, is_default=False),
        node_id=environment.get("MLTRAIL_NODE_ID") or None,
        is_launched=any(environment.get(name) for name in _RANK_VARIABLES),
        is_first_on_node=local_rank == "0",
    )


def _switch(environment: Mapping[str, str], variable: str, argument: bool | None, *, is_default: bool) -> bool:
    if argument is not None:
        return bool(argument)
    word = environment.get(variable, "").strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off"):
        return False
    if word:
        raise ValueError(f"{variable} is {word!r}; expected 1 or 0")
    return is_default


def _interval_s(environment: Mapping[str, str], argument: float | None) -> float:
    variable = "MLTRAIL_SYSTEM_METRICS_INTERVAL_S"
    given: object = argument if argument is not None else environment.get(variable) or DEFAULT_SYSTEM_METRICS_INTERVAL_S
    try:
        interval_s = float(str(given))
    except ValueError:
        interval_s = -1.0
    if not 0 <= interval_s < float("inf"):
        raise ValueError(f"system_metrics_interval_s ({variable}) is {given!r}; expected seconds, or 0 for none")
    return interval_s
