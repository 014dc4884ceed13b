"""The express lane: the plain form of the busiest requests, answered without ASGI's tasks, scopes and messages.

The server's HTTP protocol asks it first. What it does not take, whatever the reason, goes the long way and is judged
there; so no request is refused here but by the log and the fold, and there is one place for each message. It takes what
comes from an ordinary sender, for a run that this worker wrote to a moment ago, or to begin one in an experiment that
the long way found active a moment ago.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import structlog
from pydantic_core import from_json
from starlette.types import Scope

from mltrail_api.appender import Done, Outcome, Written
from mltrail_api.identity.gate import Gate
from mltrail_api.identity.identity import Identity, identity_of
from mltrail_api.mlflow.endpoint import PENDING, Caller
from mltrail_api.mlflow.errors import answer_of, server_failed
from mltrail_api.mlflow.routes import PREFIXES
from mltrail_api.mlflow.runs.beginning import Beginning, beginning_in
from mltrail_api.mlflow.runs.own_runs import OwnRun
from mltrail_api.mlflow.runs.plain import READERS, Fields, Plain, plain_run
from mltrail_api.mlflow.wire import json_bytes
from mltrail_api.services import Services
from mltrail_core.errors import MltrailError, Unavailable
from mltrail_core.events import Event
from mltrail_core.ids import partition_of
from mltrail_core.record import Actor, SinglePoint

Reply = Callable[[int, bytes, Mapping[str, str]], None]
"""Sends status, JSON and further headers; called once, in the event loop."""

_logger = structlog.get_logger(__name__)
_UNUSUAL_HEADERS: Final = frozenset({b"x-mlflow-workspace", b"x-mltrail-actor"})
_ADMITTED: Final = "mltrail.admitted"
_NO_HEADERS: Final[Mapping[str, str]] = {}


class Express:
    """What one worker's connections share."""

    def __init__(self, services: Services, gate: Gate) -> None:
        self._services = services
        self._gate = gate
        self._judged: set[asyncio.Task[None]] = set()
        """Requests that wait for the fold's word; an event loop alone would not keep them."""
        takers: dict[str, Callable[[Fields, Identity | None, Reply], bool]] = {
            "/runs/create": self._begin,
            **{path: partial(self._log, read) for path, read in READERS.items()},
        }
        self._takers = {
            f"{prefix}2.0/mlflow{path}".encode(): take for path, take in takers.items() for prefix in PREFIXES
        }

    def may_take(self, url: bytes) -> bool:
        """Return whether a POST to this URL, as it was sent, is worth a look when its body is there."""
        return url in self._takers

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
        return type(fields) is dict and self._takers[url](fields, identity_of(scope), reply)

    def _log(
        self, read: Callable[[Fields], Plain | None], fields: Fields, identity: Identity | None, reply: Reply
    ) -> bool:
        """Take what logs to a run that was written to a moment ago; params, where the fold can't refuse them."""
        plain = read(fields)
        state = None if plain is None else self._services.run_states.remembered(plain.run_id)
        if plain is None or state is None:
            return False
        done: Done = partial(_answer, reply)
        if plain.params:
            own_runs = self._services.own_runs
            contradicts = own_runs.contradicts(plain.run_id, plain.params)
            own = None if contradicts else own_runs.claim(plain.run_id, plain.params)
            if own is None:
                return False
            done = partial(self._answer_params, reply, plain.run_id, own)
        return self._submit(plain.run_id, plain.events, Caller(None, False, identity).actor(state.user), done, reply)

    def _begin(self, fields: Fields, identity: Identity | None, reply: Reply) -> bool:
        """Take what begins a run in an experiment that was found active a moment ago."""
        plain = plain_run(fields)
        experiment = None if plain is None else self._services.active_experiments.get(plain.experiment_id)
        if plain is None or experiment is None:
            return False
        run = beginning_in(experiment, plain.run_name, plain.user_id, plain.start_ms, plain.tags)
        done = partial(self._answer_begun, reply, run)
        return self._submit(
            run.state.run_id, run.events, Caller(None, False, identity).actor(run.state.user), done, reply
        )

    def _admits(self, scope: Scope) -> bool:
        for name, _ in scope["headers"]:
            if name in _UNUSUAL_HEADERS:
                return False
        if not self._gate.admit_at_once(scope):
            return False
        if identity_of(scope) is None:
            scope[_ADMITTED] = True  # nobody was shown, so nothing but the head was judged; tokens may be revoked
        return True

    def _submit(
        self, run_id: str, events: Sequence[Event] | SinglePoint, actor: Actor, done: Done, reply: Reply
    ) -> bool:
        try:
            self._services.appender.submit(partition_of(run_id), events, actor, done)
        except Unavailable as error:
            _answer(reply, error)
        return True

    def _answer_begun(self, reply: Reply, run: Beginning, outcome: Outcome) -> None:
        if not isinstance(outcome, Written):
            return _answer(reply, outcome)
        run.note(self._services, outcome)
        reply(200, json_bytes(run.answer), _NO_HEADERS)

    def _answer_params(self, reply: Reply, run_id: str, own: OwnRun, outcome: Outcome) -> None:
        if not isinstance(outcome, Written) or own.is_certain(outcome):
            return _answer(reply, outcome)
        self._services.own_runs.forget(run_id)
        task = asyncio.get_running_loop().create_task(self._judge(reply, outcome))
        self._judged.add(task)
        task.add_done_callback(partial(self._end, reply))

    async def _judge(self, reply: Reply, written: Written) -> None:
        """Answer when the fold has accepted or rejected a record."""
        try:
            is_projected = await self._services.visibility.outcome(written)
        except MltrailError as error:
            return _answer(reply, error)
        reply(200, b"{}", _NO_HEADERS if is_projected else PENDING)

    def _end(self, reply: Reply, task: asyncio.Task[None]) -> None:
        self._judged.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:  # our bug, as what arrives at the edge
            _logger.error("request failed", action="request_failed", exc_info=error)
            failed = server_failed()
            reply(failed.status, failed.body(), failed.headers)


def _answer(reply: Reply, outcome: Outcome) -> None:
    if isinstance(outcome, Written):
        return reply(200, b"{}", _NO_HEADERS)
    answer = answer_of(outcome)
    reply(answer.status, answer.body(), answer.headers)
