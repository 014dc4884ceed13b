"""The one tree of errors; HTTP codes and MLflow's error codes appear only at the HTTP edge.

MltrailError
├── Rejected            the caller must change something; repeating the same call fails the same way
│   ├── Invalid         a value is malformed, out of range or of the wrong type
│   ├── NotFound        what is named does not exist
│   ├── Conflict        what is asked contradicts what is already there
│   ├── Unauthenticated nobody knows who the caller is, and that has to be known
│   ├── Forbidden       the caller may not do this
│   └── Unsupported     what is asked can't be done with what this deployment runs on
└── Unavailable         try again after `retry_after_s`; nothing was done unless the message says otherwise
    ├── LogFull         the log refused the append before writing: disk, memory or archive is past its mark
    └── OutcomeUnknown  the append may or may not have happened; repeat it under the same sequence
"""

from __future__ import annotations


class MltrailError(Exception):
    """Base of every error that mltrail raises on purpose."""


class Rejected(MltrailError):
    """The caller must change something; repeating the same call fails the same way."""


class Invalid(Rejected):
    """A value is malformed, out of range or of the wrong type."""


class NotFound(Rejected):
    """What is named does not exist."""


class Conflict(Rejected):
    """What is asked contradicts what is already there."""


class Unauthenticated(Rejected):
    """Nobody knows who the caller is, and that has to be known: no token, or one that is not valid."""


class Forbidden(Rejected):
    """The caller may not do this."""


class Unsupported(Rejected):
    """What is asked can't be done with what this deployment runs on."""


class Unavailable(MltrailError):
    """Try again after `retry_after_s`; nothing was done unless the message says otherwise."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class LogFull(Unavailable):
    """The log refused the append before writing: disk, memory or archive is past its low-water mark."""


class OutcomeUnknown(Unavailable):
    """The append may or may not have happened; repeat the same bytes until the answer is known."""
