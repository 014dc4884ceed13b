"""How busy the machine is: CPU, memory, disk, network and GPUs, under the names that MLflow's pages know.

Read from /proc, which costs a fraction of a millisecond; where there is none (macOS, Windows), asked of psutil if that
is installed.
"""

from __future__ import annotations

import functools
import importlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from mltrail._gpus import gpu_metrics

PREFIX = "system/"
ALWAYS_KNOWN = "disk_usage_megabytes"
"""A metric that there is wherever there are any."""


@dataclass(frozen=True, slots=True)
class Load:
    """Counters since the machine started (seconds and bytes), and the memory of this moment."""

    busy_s: float
    total_s: float
    memory_used_bytes: int
    memory_total_bytes: int
    received_bytes: int
    sent_bytes: int


class SystemMetrics:
    """What has been since the last `sample`; network counts from the beginning of this object, as in MLflow."""

    def __init__(self, read: _ReadLoad | None = None) -> None:
        self._read = read or load_reader()
        self._first = self._last = None if self._read is None else self._read()

    def sample(self) -> dict[str, float]:
        """Return the metrics, without prefix; those that can't be known here are left out."""
        return self._load_metrics() | _disk_metrics() | gpu_metrics()

    def _load_metrics(self) -> dict[str, float]:
        if self._read is None or self._first is None or self._last is None:
            return {}
        load, last, first = self._read(), self._last, self._first
        self._last = load
        total_s = load.total_s - last.total_s
        megabytes = 1e6
        metrics = {
            "system_memory_usage_megabytes": load.memory_used_bytes / megabytes,
            "system_memory_usage_percentage": 100 * load.memory_used_bytes / load.memory_total_bytes,
            "network_receive_megabytes": (load.received_bytes - first.received_bytes) / megabytes,
            "network_transmit_megabytes": (load.sent_bytes - first.sent_bytes) / megabytes,
        }
        if total_s > 0:
            metrics["cpu_utilization_percentage"] = 100 * max(0.0, min(1.0, (load.busy_s - last.busy_s) / total_s))
        return metrics


class _ReadLoad(Protocol):
    def __call__(self) -> Load: ...


@functools.cache
def load_reader() -> _ReadLoad | None:
    """Return what reads the load of this machine, None where nothing can."""
    if Path("/proc/stat").exists() and Path("/proc/meminfo").exists():
        return read_proc
    try:
        psutil = cast(_Psutil, importlib.import_module("psutil"))
    except ImportError:
        return None
    return functools.partial(_ask_psutil, psutil)


def read_proc() -> Load:
    """Return the load as Linux tells it."""
    # user nice system idle iowait irq softirq steal; guest time is part of user time already
    ticks = [int(word) for word in _lines("/proc/stat")[0].split()[1:9]]
    memory = {line.partition(":")[0]: int(line.split()[1]) * 1024 for line in _lines("/proc/meminfo") if line}
    total, free = memory["MemTotal"], memory.get("MemAvailable", memory["MemFree"])
    received = sent = 0
    for line in _lines("/proc/net/dev")[2:]:
        _, _, numbers = line.partition(":")
        words = numbers.split()
        received, sent = received + int(words[0]), sent + int(words[8])
    tick_s = 1 / os.sysconf("SC_CLK_TCK")
    return Load((sum(ticks) - ticks[3] - ticks[4]) * tick_s, sum(ticks) * tick_s, total - free, total, received, sent)


def _lines(file: str) -> list[str]:
    return Path(file).read_text().splitlines()


class _Times(Protocol):
    idle: float


class _Memory(Protocol):
    used: int
    total: int


class _Network(Protocol):
    bytes_recv: int
    bytes_sent: int


class _Psutil(Protocol):
    def cpu_times(self) -> _Times: ...
    def virtual_memory(self) -> _Memory: ...
    def net_io_counters(self) -> _Network: ...


def _ask_psutil(psutil: _Psutil) -> Load:
    times, memory, network = psutil.cpu_times(), psutil.virtual_memory(), psutil.net_io_counters()
    total_s = float(sum(cast(tuple[float, ...], times)))
    return Load(total_s - times.idle, total_s, memory.used, memory.total, network.bytes_recv, network.bytes_sent)


def _disk_metrics() -> dict[str, float]:
    try:
        disk = shutil.disk_usage(os.sep)
    except OSError:
        return {}
    return {
        "disk_usage_percentage": 100 * disk.used / max(1, disk.used + disk.free),
        "disk_usage_megabytes": disk.used / 1e6,
        "disk_available_megabytes": disk.free / 1e6,
    }
