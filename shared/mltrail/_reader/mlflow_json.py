"""Runs and metrics in the JSON of MLflow's REST protocol, which the API answers and the command line prints."""

from __future__ import annotations

from collections.abc import Mapping

from mltrail._reader import RunSnapshot
from mltrail_core.errors import Unavailable
from mltrail_core.rules import LOST_STATUS, LOST_TAG


def snapshot_of(answer: object) -> RunSnapshot:
    """Return the run that `{"info": …, "data": …}` describes.

    Raises:
        Unavailable: it is no such thing, so whoever answered is not an mltrail of this version.
    """
    match answer:
        case {"info": {"run_id": str(run_id), "experiment_id": str(experiment_id), **info}, **rest}:
            data = rest.get("data")
            tags = {str(item["key"]): str(item["value"]) for item in items(data, "tags")}
            return RunSnapshot(
                id=run_id,
                name=str(info.get("run_name") or ""),
                experiment_id=experiment_id,
                status=LOST_STATUS if LOST_TAG in tags else str(info.get("status") or ""),
                user=str(info.get("user_id") or ""),
                started_us=_whole(info.get("start_time") or 0) * 1000,
                ended_us=_whole(info["end_time"]) * 1000 if info.get("end_time") else None,
                params={str(item["key"]): str(item["value"]) for item in items(data, "params")},
                metrics={str(item["key"]): _number(item["value"]) for item in items(data, "metrics")},
                tags=tags,
            )
    raise Unavailable(f"the answer describes no run: {str(answer)[:200]}; is it an mltrail of another version?")


def items(answer: object, name: str) -> list[Mapping[str, object]]:
    """Return the list of objects under `name`; protocol buffers leave an empty list out."""
    found = answer.get(name) if isinstance(answer, Mapping) else None
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def _number(value: object) -> float:
    if isinstance(value, int | float | str):  # "NaN" and "Infinity" come as texts
        return float(value)
    raise Unavailable(f"{value!r} is not the value of a metric; is it an mltrail of another version?")


def _whole(value: object) -> int:
    if isinstance(value, int | str):  # protocol buffers write 64-bit integers as texts
        return int(value)
    raise Unavailable(f"{value!r} is not a step or a time; is it an mltrail of another version?")
