"""The express lane: the plain form of the busiest requests, answered without ASGI's tasks, scopes and messages.

The server's HTTP protocol asks it first. What it does not take, whatever the reason, goes the long way and is judged
there; so nothing is refused here, and there is one place for each message. It takes what comes from an ordinary sender,
for a run that this worker wrote to a moment ago.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from pydantic_core import from_json
from starlette.types import Scope

from mltrail_api.appender import Outcome, Written
from mltrail_api.identity.gate import Gate
from mltrail_api.identity.identity import identity_of
from mltrail_api.mlflow.errors import answer_of
from mltrail_api.mlflow.routes import PREFIXES
from mltrail_api.mlflow.runs.plain import READERS, Fields, Plain
from mltrail_api.services import Services
from mltrail_core.errors import Unavailable
from mltrail_core.ids import partition_of
from mltrail_core.record import Actor

Reply = Callable[[int, bytes, Mapping[str, str]], None]
"""Sends status, JSON and further headers; called once, in the event loop."""

_READERS: Final[Mapping[bytes, Callable[[Fields], Plain | None]]] = {
    f"{prefix}2.0/mlflow{path}".encode(): read for path, read in READERS.items() for prefix in PREFIXES
}
_UNUSUAL_HEADERS: Final = frozenset({b"x-mlflow-workspace", b"x-mltrail-actor"})
_ADMITTED: Final = "mltrail.admitted"
_NO_HEADERS: Final[Mapping[str, str]] = {}


class Express:
    """What one worker's connections share."""

    def __init__(self, services: Services, gate: Gate) -> None:
        self._appender = services.appender
        self._run_states = services.run_states
        self._gate = gate

    def may_take(self, url: bytes) -> bool:
        """Return whether a POST to this URL, as it was sent, is worth a look when its body is there."""
        return url in _READERS

    def take(self, url: bytes, scope: Scope, body: bytes, reply: Reply) -> bool:
        """Return whether the request is taken: then, and only then, `reply` is called, maybe before this returns.

        Args:
            url: one that `may_take`.
            scope: of ASGI, with method, headers and server at least; may be given again with a request that has the
                same head and comes on the same connection.
            body: the whole of it.
            reply: sends the answer.
        """
        if b"\\u0000" in body or not (_ADMITTED in scope or self._admits(scope)):
            return False
        try:
            fields = from_json(body)
        except ValueError:
            return False
        plain = _READERS[url](fields) if type(fields) is dict else None
        state = None if plain is None else self._run_states.remembered(plain[0])
        if plain is None or state is None:
            return False
        identity = identity_of(scope)
        actor = Actor(state.user or "anonymous") if identity is None else identity.actor
        try:
            self._appender.submit(partition_of(plain[0]), plain[1], actor, partial(_answer, reply))
        except Unavailable as error:
            _answer(reply, error)
        return True

    def _admits(self, scope: Scope) -> bool:
        for name, _ in scope["headers"]:
            if name in _UNUSUAL_HEADERS:
                return False
        if not self._gate.admit_at_once(scope):
            return False
        if identity_of(scope) is None:
            scope[_ADMITTED] = True  # nobody was shown, so nothing but the head was judged; tokens may be revoked
        return True


def _answer(reply: Reply, outcome: Outcome) -> None:
    if isinstance(outcome, Written):
        return reply(200, b"{}", _NO_HEADERS)
    answer = answer_of(outcome)
    reply(answer.status, answer.body(), answer.headers)
