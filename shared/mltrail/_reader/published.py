"""Where the API is that reads a Redis log: its server publishes the address in the log."""

from __future__ import annotations

import contextlib

from mltrail_core.errors import Unavailable
from mltrail_core.log import open_log


def published_api_url(log_url: str) -> str:
    """Return the address of the API.

    Raises:
        Unavailable: the log can't be reached, or no server has published an address.
    """
    with contextlib.closing(open_log(log_url)) as log:
        api_url = log.published("api_url")
    if api_url is None:
        raise Unavailable(
            "reading needs a server, and none has published its address in the Redis log; "
            "start one: mltrail server --log-url redis://…"
        )
    return api_url
