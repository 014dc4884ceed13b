"""What a server's processes have used, from /proc: CPU time says more than wall time on a machine that is shared."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(groups: Iterable[int]) -> float:
    """Return the CPU seconds, of user and system, that the process groups have used so far."""
    return sum((int(fields[11]) + int(fields[12])) / _TICKS_PER_S for group in groups for _, fields in _members(group))


def memory_bytes(groups: Iterable[int]) -> int:
    """Return the memory of the process groups; pages that several processes share are counted once (PSS)."""
    total = 0
    for group in groups:
        for process_id, _ in _members(group):
            rollup = Path(f"/proc/{process_id}/smaps_rollup").read_text()
            total += sum(int(line.split()[1]) << 10 for line in rollup.splitlines() if line.startswith("Pss:"))
    return total


def peak_resident_bytes(group: int) -> list[int]:
    """Return the most memory (RSS) that each process of the group has had so far, the oldest process first."""
    peaks: list[int] = []
    for process_id, _ in sorted(_members(group)):
        status = Path(f"/proc/{process_id}/status").read_text()
        peaks.extend(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM:"))
    return peaks


def process_count(groups: Iterable[int]) -> int:
    """Return how many processes the groups have."""
    return sum(1 for group in groups for _ in _members(group))


def _members(group: int) -> Iterator[tuple[int, list[str]]]:
    """Give the id of every process of a group, and the fields of its `stat` from the third on."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended between the two looks
            if int(fields[2]) == group:
                yield int(folder.name), fields
