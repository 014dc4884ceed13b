"""`Outcome`: a change that was sent, and what the registry makes of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Generic, TypeVar

from mltrail._reader import Decision, open_reader
from mltrail_core.errors import Unavailable
from mltrail_core.rejection import rejection_error

if TYPE_CHECKING:
    from mltrail._session import Session
    from mltrail_core.ids import ProducerId

T = TypeVar("T")

DEFAULT_TIMEOUT_S = 30.0
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 1.0


class Outcome(Generic[T]):
    """A change of the model registry on its way: it is sent whether or not anybody asks what became of it.

    The registry decides when the change is projected, in the order of the log; `result` waits for that. In asyncio,
    `await outcome` does so without blocking the loop.
    """

    def __init__(
        self,
        session: Session,
        producer: ProducerId,
        what: str,
        value_of: Callable[[Decision], T],
        model: str | None = None,
    ) -> None:
        self._session = session
        self._producer = producer
        self._what = what
        self._value_of = value_of
        self._model = model
        self._decision: Decision | None = None

    def result(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> T:
        """Return what was decided, such as the number of a new version; may be called again.

        It also waits until all that this process logged before is durable, artifacts included.

        Args:
            timeout_s: how long to wait for the log and for the projector.

        Raises:
            NotFound: there is no such registered model or version.
            Conflict, Invalid: the change was rejected for another reason, which the message says.
            Unavailable: nothing is decided yet, or nobody can be asked; the change is still on its way.
        """
        deadline = time.monotonic() + timeout_s
        if self._decision is None:
            self._decision = self._wait(deadline, timeout_s)
        if self._decision.reason is not None:
            raise rejection_error(self._decision.reason, f"{self._what}: {self._decision.message}")
        return self._value_of(self._decision)

    def __await__(self) -> Generator[object, None, T]:
        import asyncio  # who awaits this has loaded it; `import mltrail` does not

        return asyncio.to_thread(self.result).__await__()

    def __repr__(self) -> str:
        decision = self._decision
        state = "on its way" if decision is None else "accepted" if decision.reason is None else "rejected"
        return f"<mltrail.Outcome {self._what}: {state}>"

    def _wait(self, deadline: float, timeout_s: float) -> Decision:
        is_durable = self._session.flush(None, deadline)
        if self._session.settings.is_offline:
            raise Unavailable(
                f"{self._what} is kept in the spool, since this session is offline: `mltrail sync` sends it"
            )
        pause_s = _FIRST_PAUSE_S
        while True:
            reader = open_reader(self._session.settings.destination)
            decision = reader.decision(self._producer, 1, self._model)
            if decision is not None:
                return decision
            if time.monotonic() + pause_s > deadline:
                why = "is not projected yet" if is_durable else "could not be sent yet"
                raise Unavailable(
                    f"{self._what} {why} after {timeout_s:g} s; it is kept and goes on its way, ask again later"
                )
            time.sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
