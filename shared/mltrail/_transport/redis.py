"""Redis streams directly; artifacts go to the API whose address the server published in the log."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from mltrail._transport.http import HttpTransport
from mltrail_core.artifacts import Blob
from mltrail_core.errors import Rejected, Unavailable
from mltrail_core.log import EventLog, NewRecord, open_log
from mltrail_core.log.genesis import ensure_begun


class RedisTransport:
    """A `Transport` to the Redis log at `url`; connects when something is sent, so a training starts without it."""

    def __init__(self, url: str, token: str | None = None) -> None:
        import mltrail_core.log.redis  # noqa: F401  now: at the end of a process, where the first record may be sent, no more

        self._url = url
        self._token = token  # for the API
        self._lock = threading.Lock()
        self._log: EventLog | None = None
        self._api: HttpTransport | None = None
        self._api_url: str | None = None

    def append(self, records: Sequence[NewRecord]) -> None:
        self._opened().append(records)

    def store(self, file: Path) -> Blob:
        return self._published_api().store(file)

    def close(self) -> None:
        if self._api is not None:
            self._api.close()
        if self._log is not None:
            self._log.close()

    def _opened(self) -> EventLog:
        with self._lock:
            if self._log is None:
                try:
                    log = open_log(self._url)
                except Rejected as error:  # the fault is the log's, not the records': they are kept
                    raise Unavailable(str(error), retry_after_s=15.0) from error
                try:
                    ensure_begun(log)
                except BaseException:
                    log.close()
                    raise
                self._log = log
            return self._log

    def _published_api(self) -> HttpTransport:
        """Return the API for artifacts; asked anew each time, since a server may have moved."""
        api_url = self._opened().published("api_url")
        if api_url is None:
            raise Unavailable(
                "artifacts need a server, and none has published its address in the Redis log; "
                "start one: mltrail server --log-url redis://…",
                retry_after_s=2.0,
            )
        if self._api is None or self._api_url != api_url:
            if self._api is not None:
                self._api.close()
            self._api, self._api_url = HttpTransport(api_url, self._token), api_url
        return self._api
