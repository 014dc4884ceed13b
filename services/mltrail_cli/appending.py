"""How a command changes something that stands in `control`: as one record of the operator, projected at once."""

from __future__ import annotations

import getpass

from sqlalchemy import select

from mltrail_cli.composition import Ports
from mltrail_cli.reading import project_all
from mltrail_core.errors import Conflict
from mltrail_core.events import Event
from mltrail_core.ids import CONTROL, new_producer_id
from mltrail_core.log import NewRecord
from mltrail_core.readmodel.tables import rejections
from mltrail_core.record import Actor, Record, freeze_record


def append_to_control(ports: Ports, event: Event) -> int:
    """Append the event to `control`, project it, and return when the log got it (µs UTC).

    Raises:
        Conflict: the fold rejected it.
    """
    record = Record(CONTROL, new_producer_id(), 1, Actor(_operator()), (event,))
    [appended] = ports.log.append([NewRecord(CONTROL, freeze_record(record))])
    project_all(ports)
    with ports.read_model.reading() as connection:
        reason = connection.execute(
            select(rejections.c.message).where(
                rejections.c.partition == CONTROL, rejections.c["index"] == appended.index
            )
        ).scalar()
    if reason is not None:
        raise Conflict(str(reason))
    return appended.appended_us


def _operator() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container the user may have no name
        return "operator"
