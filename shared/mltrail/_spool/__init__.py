"""The spool: what no log has acknowledged yet lies on the local disk, one folder for each process."""

from __future__ import annotations

from mltrail._spool.file import About, Contents, SpoolFile
from mltrail._spool.folder import SpoolFolder, spools_in
from mltrail._spool.spool import Spool

__all__ = ["About", "Contents", "Spool", "SpoolFile", "SpoolFolder", "spools_in"]
