"""What a run ran on: processors, memory, GPUs."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path

from mltrail._gpus import found_gpus


def machine(host: str) -> dict[str, object]:
    """Return what is known of this machine, ready for JSON. What can't be known is left out."""
    return {
        "host": host,
        "platform": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "cpu": _cpu_name() or platform.processor() or platform.machine(),
        "cpu_count": os.cpu_count(),
        "cpu_count_usable": _usable_cpus(),
        "memory_bytes": _memory_bytes(),
        "gpus": [
            {"name": gpu.name, "memory_bytes": gpu.memory_bytes, "driver": gpu.driver, "uuid": gpu.uuid}
            for gpu in found_gpus()
        ],
    }


def machine_tags(known: Mapping[str, object]) -> dict[str, str]:
    """Return the tags by which runs are looked for."""
    tags = {"mltrail.host": str(known["host"]), "mltrail.python": str(known["python"]).rpartition(" ")[2]}
    gpus = known["gpus"]
    if isinstance(gpus, list) and gpus:
        names = [str(gpu["name"]) for gpu in gpus]
        tags["mltrail.gpu"] = ", ".join(f"{names.count(name)} × {name}" for name in dict.fromkeys(names))
    return tags


def _usable_cpus() -> int | None:
    """Return how many CPUs this process may use, which a container or a scheduler may have cut."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _cpu_name() -> str | None:
    return _line_of("/proc/cpuinfo", "model name")


def _memory_bytes() -> int | None:
    total = _line_of("/proc/meminfo", "MemTotal")
    if total is not None:
        return int(total.split()[0]) * 1024
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _line_of(file: str, name: str) -> str | None:
    """Return what stands after `name:` in a file of /proc; None where there is no such file or line."""
    try:
        lines = Path(file).read_text(errors="replace").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)
