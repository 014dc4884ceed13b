"""Outcomes of records in the JSON of `/api/v1`, which the API answers and the command line prints."""

from __future__ import annotations

from collections.abc import Mapping

from mltrail._reader import Decision
from mltrail._reader.mlflow_json import items
from mltrail_core.errors import Unavailable


def decision_of(answer: Mapping[str, object]) -> Decision | None:
    """Return what was decided about a record; None while nothing was.

    Raises:
        Unavailable: it is no such answer, so whoever answered is not an mltrail of this version.
    """
    version = answer.get("version")
    match answer.get("state"):
        case "pending":
            return None
        case "accepted":
            return Decision(None, None, version if isinstance(version, int) else None)
        case "rejected":
            first = next(iter(items(answer, "rejections")), {})
            return Decision(str(first.get("reason")), str(first.get("message")), None)
    raise Unavailable(f"the answer is no outcome: {str(answer)[:200]}; is it an mltrail of another version?")
