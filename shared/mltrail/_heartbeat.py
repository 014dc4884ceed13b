"""The beating thread: says every few seconds that this process still writes to its open runs.

It has a connection of its own, so that a sender that waits for a slow answer does not make the process look dead. What
can't be delivered is left: the next heartbeat says the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mltrail._losses import logger
from mltrail._settings import Destination
from mltrail._stream import Stream
from mltrail_core.errors import Rejected, Unavailable

if TYPE_CHECKING:
    import httpx

    from mltrail_core.liveness import Liveness

INTERVAL_S = 10.0
"""A twelfth of the server's default lease."""
_RUNS_OF_A_REQUEST = 1000
_TIMEOUT_S = 5.0


class Heartbeats:
    """Marks the open runs of a session; one thread calls `step`."""

    def __init__(self, destination: Destination, open_streams: Callable[[], Sequence[Stream]]) -> None:
        self._destination = destination
        self._open_streams = open_streams
        self._client: httpx.Client | None = None
        self._liveness: Liveness | None = None
        self._inherited: list[object] = []
        """Of the parent processes: neither used nor closed here, which would harm the parent's connections."""
        self._is_refused = False
        self._has_begun = False

    def begin_again_in_child(self) -> None:
        """Leave the parent's connections to the parent."""
        self._inherited += [self._client, self._liveness]
        self._client = self._liveness = None
        self._has_begun = False

    def step(self) -> float:
        """Mark what is open now; return the seconds to pause. The first call only pauses: the log just heard of us."""
        if not self._has_begun:
            self._has_begun = True
            return INTERVAL_S
        streams = [stream for stream in self._open_streams() if not stream.is_closed]
        try:
            for first in range(0, len(streams), _RUNS_OF_A_REQUEST):
                self._beat([(stream.run_id, stream.producer) for stream in streams[first : first + _RUNS_OF_A_REQUEST]])
            self._is_refused = False
        except Unavailable as error:
            logger.debug("mltrail: a heartbeat could not be delivered: %s", error)
        except Rejected as error:
            if not self._is_refused:
                logger.warning("mltrail: heartbeats are refused, so open runs may show as lost: %s", error)
            self._is_refused = True
        return INTERVAL_S

    def close(self) -> None:
        """Release connections; called once no step is under way."""
        if self._client is not None:
            self._client.close()
        if self._liveness is not None:
            self._liveness.close()

    def _beat(self, pairs: Sequence[tuple[str, str]]) -> None:
        if self._destination.kind == "http":
            self._post(pairs)
            return
        if self._liveness is None:
            from mltrail_core.liveness import open_liveness

            address = self._destination.address
            self._liveness = open_liveness(address if self._destination.kind == "redis" else str(Path(address) / "log"))
        self._liveness.mark([subject for pair in pairs for subject in pair])

    def _post(self, pairs: Sequence[tuple[str, str]]) -> None:
        import httpx  # the transport has loaded it

        from mltrail._transport.http import token_header
        from mltrail_core.errors import Invalid

        if self._client is None:
            self._client = httpx.Client(
                base_url=self._destination.address, timeout=_TIMEOUT_S, headers=token_header(self._destination.token)
            )
        body = {"heartbeats": [{"run_id": run_id, "producer": producer} for run_id, producer in pairs]}
        shown = self._destination.shown
        try:
            response = self._client.post("/api/v1/heartbeats", json=body)
        except httpx.HTTPError as error:
            raise Unavailable(f"{shown} can't be reached: {str(error) or type(error).__name__}") from error
        if response.status_code in (400, 401, 403, 404):
            raise Invalid(f"{shown} answered {response.status_code}: {response.text[:300]}")
        if response.status_code != 200:
            raise Unavailable(f"{shown} answered {response.status_code}: {response.text[:300]}")
