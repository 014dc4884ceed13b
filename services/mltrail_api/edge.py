"""The outermost ASGI layer of whatever answers: asks the gate who is there, and answers what nobody caught.

One of the three places that catch every exception: what arrives here is our bug, so it is logged with its traceback.
"""

from __future__ import annotations

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mltrail_api.identity.gate import Gate
from mltrail_api.mlflow.errors import ErrorAnswer, answer_of, server_failed
from mltrail_core.errors import MltrailError

_logger = structlog.get_logger(__name__)


class Edge:
    """Stands before MLflow's protocol, and before all that FastAPI serves as its middleware; see the module."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request whatever happens; other scopes pass."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        has_begun = False

        async def watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        if "\0" in scope["path"]:  # no database keeps one, so nothing is there
            return await _send_error(
                send, ErrorAnswer(400, "INVALID_PARAMETER_VALUE", "the path holds a NUL character")
            )
        try:
            await self._gate.admit(scope)
            await self._app(scope, receive, watched)
        except MltrailError as error:  # of the gate: what lies behind answers its own
            await _send_error(send, answer_of(error))
        except ClientDisconnect:
            return  # in the middle of its request, so nobody is there to be answered
        except Exception:
            _logger.exception("request failed", action="request_failed", method=scope["method"], path=scope["path"])
            if has_begun:
                raise  # the server cuts the connection, so that the client does not take a part for the whole
            await _send_error(send, server_failed())


async def _send_error(send: Send, answer: ErrorAnswer) -> None:
    body = answer.body()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    headers.extend((name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items())
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
