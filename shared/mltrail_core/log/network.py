"""Refusal of folders where SQLite's locks do not hold."""

from __future__ import annotations

import sys
from pathlib import Path

from mltrail_core.errors import Invalid

_NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "glusterfs", "lustre", "9p", "afs", "beegfs", "fuse.sshfs", "gpfs"}
)


def refuse_network_file_system(folder: Path) -> None:
    """Raise `Invalid` when `folder` is on a network file system, where flock and WAL's shared memory are not sound.

    Known on Linux only, from /proc/mounts; elsewhere nothing is refused.
    """
    if not sys.platform.startswith("linux"):
        return
    kind = _file_system_of(folder)
    if kind in _NETWORK_FILE_SYSTEMS:
        raise Invalid(
            f"{folder} is on a network file system ({kind}), where SQLite loses data; "
            "use a local folder, or run `mltrail server` and log to its URL"
        )


def _file_system_of(folder: Path) -> str | None:
    best: tuple[int, str] | None = None
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount_point, kind, *_ = line.split(" ")
        mounted = Path(mount_point.replace("\\040", " "))
        if folder.is_relative_to(mounted) and (best is None or len(mounted.parts) >= best[0]):
            best = (len(mounted.parts), kind)
    return None if best is None else best[1]
