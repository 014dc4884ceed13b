"""From our errors to MLflow's error codes and HTTP status: the one place where either appears."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from mltrail_api.mlflow.wire import json_bytes
from mltrail_core.errors import (
    Conflict,
    Forbidden,
    Invalid,
    LogFull,
    MltrailError,
    NotFound,
    Unauthenticated,
    Unavailable,
    Unsupported,
)

STATUS_OF: Mapping[type[MltrailError], tuple[int, str]] = {
    Invalid: (400, "INVALID_PARAMETER_VALUE"),
    Conflict: (400, "RESOURCE_ALREADY_EXISTS"),
    Unauthenticated: (401, "UNAUTHENTICATED"),
    Forbidden: (403, "PERMISSION_DENIED"),
    NotFound: (404, "RESOURCE_DOES_NOT_EXIST"),
    Unsupported: (501, "NOT_IMPLEMENTED"),
    LogFull: (429, "RESOURCE_EXHAUSTED"),
    Unavailable: (503, "TEMPORARILY_UNAVAILABLE"),
}
"""The nearest class in an error's ancestry counts. The client re-sends what got 429 or 5xx: both say nothing was done,
or (`OutcomeUnknown`) that nobody knows. Not 501, which it takes for a no."""
_CHALLENGE = 'Basic realm="mltrail (an API token is the password)", charset="UTF-8"'
"""Makes a browser ask. Bearer is taken as well; two challenges in one header are more than some browsers can read."""


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """What the client is sent instead of what it asked for."""

    status: int
    error_code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        """Return the JSON that `mlflow.exceptions.RestException` reads."""
        return json_bytes({"error_code": self.error_code, "message": self.message})


def answer_of(error: MltrailError) -> ErrorAnswer:
    """Return the answer to a request that ended in `error`."""
    for ancestor in type(error).__mro__:
        if ancestor in STATUS_OF:
            status, error_code = STATUS_OF[ancestor]
            headers = {}
            if isinstance(error, Unavailable):
                headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
            elif isinstance(error, Unauthenticated):
                headers["WWW-Authenticate"] = _CHALLENGE
            return ErrorAnswer(status, error_code, str(error), headers)
    return ErrorAnswer(500, "INTERNAL_ERROR", str(error))


def server_failed() -> ErrorAnswer:
    """Return the answer to a request on which our own code failed."""
    return ErrorAnswer(500, "INTERNAL_ERROR", "the server failed on this request; its log says why")


def no_such_endpoint(method: str, path: str) -> ErrorAnswer:
    """Return the answer to a path that nothing is served under (stock sends HTML, which its client can't read)."""
    return ErrorAnswer(404, "ENDPOINT_NOT_FOUND", f"Nothing is served under {method} {path[:500]}")


def wrong_method(method: str, path: str, allowed: list[str]) -> ErrorAnswer:
    """Return the answer to a path that is served under other methods only."""
    message = f"{path[:500]} answers {' and '.join(allowed)}, not {method}"
    return ErrorAnswer(405, "ENDPOINT_NOT_FOUND", message, {"Allow": ", ".join(allowed)})
