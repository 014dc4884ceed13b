"""Refusal of folders where SQLite's locks do not hold."""

from __future__ import annotations

import sys
from pathlib import Path

from mltrail_core.errors import Invalid

_NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "glusterfs", "lustre", "9p", "afs", "beegfs", "fuse.sshfs", "gpfs"}
)


def refuse_network_file_system(folder: Path, mount_table: str | None = None) -> None:
    """Raise `Invalid` when `folder` is on a network file system, where flock and WAL's shared memory are not sound.

    Args:
        folder: an absolute path, symbolic links resolved.
        mount_table: lines as in /proc/mounts; None for those of this machine.
    """
    kind = file_system_of(folder, mounts() if mount_table is None else mount_table)
    if kind in _NETWORK_FILE_SYSTEMS:
        raise Invalid(
            f"{folder} is on a network file system ({kind}), where SQLite loses data; "
            "use a local folder, or run `mltrail server` and log to its URL"
        )


def mounts() -> str:
    """Return /proc/mounts; empty where there is no such thing, so that nothing is refused there."""
    return Path("/proc/mounts").read_text() if sys.platform.startswith("linux") else ""


def file_system_of(folder: Path, mount_table: str) -> str | None:
    """Return the kind of file system that holds `folder`: of its innermost mount, and of several there the last."""
    best: tuple[int, str] | None = None
    for line in mount_table.splitlines():
        words = line.split(" ")
        if len(words) < 3:
            continue
        mounted, kind = Path(words[1].replace("\\040", " ")), words[2]
        if folder.is_relative_to(mounted) and (best is None or len(mounted.parts) >= best[0]):
            best = (len(mounted.parts), kind)
    return None if best is None else best[1]
