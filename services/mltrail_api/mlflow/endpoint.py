"""What a row of the routing table is made of: how an endpoint is called and what it gives back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from mltrail_api.identity.identity import Identity
from mltrail_api.mlflow.wire import Message
from mltrail_api.services import Services
from mltrail_api.visibility import EVENTUAL, Freshness, Seen
from mltrail_core.record import Actor

CONSISTENCY_HEADER = "X-Mltrail-Consistency"
OUTCOME_HEADER = "X-Mltrail-Outcome"
PENDING = {OUTCOME_HEADER: "pending"}
"""Of a write that is durable, but that the projector did not judge in time."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request, and how fresh the answer has to be."""

    claimed_name: str | None
    """What the header `X-Mltrail-Actor` says."""
    is_eventual: bool
    """Whether the request asks for what is there now, with no waiting: `consistency=eventual`."""
    identity: Identity | None = None
    """Whose token the request shows."""

    def actor(self, fallback: str | None = None) -> Actor:
        """Return who does it: whose token it is, else as the header claims, else `fallback` (the run's user), else
        `anonymous`."""
        if self.identity is not None:
            return self.identity.actor
        return Actor(self.claimed_name or fallback or "anonymous")

    def asks_for(self, freshness: Freshness) -> Freshness:
        """Return `freshness`, or none when the caller does not wait."""
        return EVENTUAL if self.is_eventual else freshness


@dataclass(frozen=True, slots=True)
class Answer:
    """JSON for the client, spelled out already or to be; NaN and ±Infinity are allowed as values."""

    body: Mapping[str, object] | bytes = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


M = TypeVar("M", bound=Message)
T = TypeVar("T")
Handler = Callable[[Services, M, Caller], Awaitable[Answer]]
RawHandler = Callable[[Services, Request, Caller], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[M]):
    """A request in JSON (or in the query, under GET) and an answer in JSON; names in the path join the fields."""

    model: type[M]
    handler: Handler[M]


@dataclass(frozen=True, slots=True)
class RawEndpoint:
    """An endpoint that reads and answers bytes; names in the path are in `request.path_params`."""

    handler: RawHandler


Route = Endpoint[M] | RawEndpoint


def seen_answer(seen: Seen[T], body: Mapping[str, object] | bytes) -> Answer:
    """Return the answer to a read, with the header that says whether it is current."""
    return Answer(body, consistency(seen))


def consistency(seen: Seen[T]) -> Mapping[str, str]:
    """Return the header that says whether what was seen is current."""
    return {CONSISTENCY_HEADER: "current" if seen.is_current else "stale"}
