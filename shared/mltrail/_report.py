"""What a session says on stderr at its end: what stays in the spool and how it will be sent, and what is lost."""

from __future__ import annotations

import sys
from pathlib import Path

from mltrail._buffer import Buffer
from mltrail._losses import Losses
from mltrail._outbox import Outbox
from mltrail._spool import Contents, Spool


def report_unsent(spool: Spool, outbox: Outbox, buffer: Buffer, losses: Losses, shown: str) -> None:
    """Print a line for each thing that somebody has to know; nothing when all has arrived."""
    contents = spool.contents(are_records_settled=outbox.kept().record_count == 0)
    if contents is not None and not contents.is_empty:
        _say(f"{kept_line(contents, shown)} in {spool.path}; it is sent by: {_command(spool.path)}")
    lost = outbox.unkept()
    points = lost.point_count + buffer.point_count
    if lost.record_count or points:
        _say(
            f"{lost.event_count} events and {points} metric points of run {', '.join(lost.run_ids)} could neither be "
            f"sent to {shown} nor be kept on the disk, and are lost"
        )
    counts = losses.counts()
    if counts:
        _say("in this process: " + "; ".join(f"{count} {reason}" for reason, count in counts.items()))


def kept_line(contents: Contents, shown: str) -> str:
    """Return what a spool holds, in words."""
    what = []
    if contents.record_count:
        what.append(f"{contents.event_count} events with {contents.point_count} metric points")
    if contents.upload_count:
        what.append(f"{contents.upload_count} artifacts ({contents.upload_bytes / 1e6:.1f} MB)")
    if contents.refused_count:
        what.append(f"{contents.refused_count} records that the server refused")
    runs = f" of run {', '.join(contents.run_ids)}" if contents.run_ids else ""
    return f"{' and '.join(what)}{runs} could not be sent to {shown} yet, and are kept"


def _command(spool: Path | None) -> str:
    where = "" if spool is None else f" {spool.parent}"
    return f"mltrail sync{where} (or by the next training on this machine that logs there)"


def _say(line: str) -> None:
    print(f"mltrail: {line}", file=sys.stderr)
