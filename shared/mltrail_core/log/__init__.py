"""The event log: the only source of truth, seen through one port with two adapters (SQLite file, Redis streams).

An append returns durable indices or an error, never a promise; waiting until a reader sees them is another call.
"""

from __future__ import annotations

from mltrail_core.log.copy import CopyReport, copy_log
from mltrail_core.log.open import open_log
from mltrail_core.log.port import (
    Appended,
    Durability,
    EventLog,
    LogEntry,
    LogIdentity,
    NewRecord,
    Positions,
)

__all__ = [
    "Appended",
    "CopyReport",
    "Durability",
    "EventLog",
    "LogEntry",
    "LogIdentity",
    "NewRecord",
    "Positions",
    "copy_log",
    "open_log",
]
