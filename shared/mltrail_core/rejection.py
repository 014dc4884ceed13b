"""What a producer is told when the fold has rejected what it said: the error that its reason stands for."""

from __future__ import annotations

from collections.abc import Mapping

from mltrail_core.errors import Conflict, Invalid, NotFound, Rejected
from mltrail_core.rules import Reason

_ERROR_OF: Mapping[str, type[Rejected]] = {
    Reason.NAME_TAKEN: Conflict,
    Reason.ALREADY_EXISTS: Conflict,
    Reason.UNKNOWN_SUBJECT: NotFound,
    Reason.NOT_THERE: NotFound,
}


def rejection_error(reason: str, message: str) -> Rejected:
    """Return the error for a rejection; `Invalid` for every reason that is neither absence nor conflict."""
    return _ERROR_OF.get(reason, Invalid)(message)
