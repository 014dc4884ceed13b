"""The line that says where data goes and how to see it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mltrail._session import Session
    from mltrail._settings import Destination


def announce(session: Session) -> None:
    """Print where the session sends to, in one line on stderr; of many processes that train together only the first
    says so."""
    process = sys.modules.get("multiprocessing.process")
    is_child = process is not None and process.parent_process() is not None
    if session.settings.rank == 0 and not is_child:
        print(
            _offline(session) if session.settings.is_offline else _where(session.settings.destination), file=sys.stderr
        )


def _offline(session: Session) -> str:
    path, shown = session.spool.path, session.settings.destination.shown
    return f"mltrail: offline, all is kept in {path}; send it to {shown} with: mltrail sync {path and path.parent}"


def _where(destination: Destination) -> str:
    match destination.kind:
        case "http":
            return f"mltrail: logging to {destination.shown}, where a browser shows it"
        case "redis":
            return f"mltrail: logging to {destination.shown}; see it with: mltrail server --log-url {destination.shown}"
        case "folder":
            return (
                f"mltrail: logging to the folder {destination.shown}, no server needed; "
                f"see it with: mltrail server --data {destination.shown}"
            )
