"""NVIDIA's GPUs, as its library NVML tells of them; none where its Python binding (pynvml) is not installed."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU of this machine. `handle` is NVML's own word for it."""

    number: int
    name: str
    memory_bytes: int
    driver: str
    uuid: str
    handle: object


class _Memory(Protocol):
    used: int
    total: int


class _Utilization(Protocol):
    gpu: int


class Nvml(Protocol):
    """The part of pynvml that is used."""

    NVMLError: type[Exception]

    def nvmlInit(self) -> None: ...
    def nvmlDeviceGetCount(self) -> int: ...
    def nvmlDeviceGetHandleByIndex(self, index: int) -> object: ...
    def nvmlDeviceGetName(self, handle: object) -> str | bytes: ...
    def nvmlDeviceGetUUID(self, handle: object) -> str | bytes: ...
    def nvmlSystemGetDriverVersion(self) -> str | bytes: ...
    def nvmlDeviceGetMemoryInfo(self, handle: object) -> _Memory: ...
    def nvmlDeviceGetUtilizationRates(self, handle: object) -> _Utilization: ...
    def nvmlDeviceGetPowerUsage(self, handle: object) -> int: ...
    def nvmlDeviceGetEnforcedPowerLimit(self, handle: object) -> int: ...


@functools.cache
def nvml() -> Nvml | None:
    """Return NVML, begun; None where there is no binding or no driver. Found out once a process."""
    try:
        found = cast(Nvml, importlib.import_module("pynvml"))
    except ImportError:
        return None
    try:
        found.nvmlInit()
    except found.NVMLError:
        return None
    return found


@functools.cache
def found_gpus() -> Sequence[Gpu]:
    """Return the GPUs that NVML shows to this process."""
    library = nvml()
    if library is None:
        return ()
    gpus = []
    try:
        driver = _text(library.nvmlSystemGetDriverVersion())
        for number in range(library.nvmlDeviceGetCount()):
            handle = library.nvmlDeviceGetHandleByIndex(number)
            name, uuid = _text(library.nvmlDeviceGetName(handle)), _text(library.nvmlDeviceGetUUID(handle))
            memory_bytes = library.nvmlDeviceGetMemoryInfo(handle).total
            gpus.append(Gpu(number, name, memory_bytes, driver, uuid, handle))
    except library.NVMLError:
        return tuple(gpus)  # a GPU that fell off the bus hides those after it
    return tuple(gpus)


def gpu_metrics() -> dict[str, float]:
    """Return how the GPUs are used at this moment, under MLflow's names."""
    library = nvml()
    metrics: dict[str, float] = {}
    for gpu in found_gpus() if library is not None else ():
        assert library is not None
        prefix = f"gpu_{gpu.number}_"
        try:
            memory = library.nvmlDeviceGetMemoryInfo(gpu.handle)
            metrics[f"{prefix}memory_usage_percentage"] = 100 * memory.used / memory.total
            metrics[f"{prefix}memory_usage_megabytes"] = memory.used / 1e6
            metrics[f"{prefix}utilization_percentage"] = library.nvmlDeviceGetUtilizationRates(gpu.handle).gpu
            watts = library.nvmlDeviceGetPowerUsage(gpu.handle) / 1000
            metrics[f"{prefix}power_usage_watts"] = watts
            limit_watts = library.nvmlDeviceGetEnforcedPowerLimit(gpu.handle) / 1000
            metrics[f"{prefix}power_usage_percentage"] = 100 * watts / limit_watts
        except library.NVMLError:
            continue  # this kind of GPU does not tell; what it told before is kept
    return metrics


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
