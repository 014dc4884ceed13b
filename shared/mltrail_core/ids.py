"""Identifiers and partitions: which ordered part of the log an event about a subject goes to."""

from __future__ import annotations

import secrets
import zlib
from typing import NewType

RunId = NewType("RunId", str)
"""32 lower-case hex digits, as in MLflow."""
ExperimentId = NewType("ExperimentId", str)
"""A decimal number as text, as in MLflow; `"0"` is the default experiment."""
ModelId = NewType("ModelId", str)
"""`m-` and 32 lower-case hex digits, as MLflow 3's logged models."""
ProducerId = NewType("ProducerId", str)
"""One process incarnation writing to one run, or one API worker incarnation; never used twice."""
Partition = NewType("Partition", str)
"""A totally ordered sequence of records: `"00"` … `"15"` or `"control"`."""

PARTITION_COUNT = 16
CONTROL = Partition("control")
RUN_PARTITIONS: tuple[Partition, ...] = tuple(Partition(f"{n:02d}") for n in range(PARTITION_COUNT))
PARTITIONS: tuple[Partition, ...] = (*RUN_PARTITIONS, CONTROL)

DEFAULT_EXPERIMENT_ID = ExperimentId("0")
DEFAULT_WORKSPACE = "default"


def partition_of(subject: str) -> Partition:
    """Return the partition of a run, logged model or loose artifact path: CRC-32 of its UTF-8 text, modulo 16.

    The hash is part of the log's format: it never changes for a log that exists.
    """
    return RUN_PARTITIONS[zlib.crc32(subject.encode()) % PARTITION_COUNT]


def new_run_id() -> RunId:
    """Return a fresh random run id."""
    return RunId(secrets.token_hex(16))


def new_model_id() -> ModelId:
    """Return a fresh random logged-model id."""
    return ModelId("m-" + secrets.token_hex(16))


def new_experiment_id() -> ExperimentId:
    """Return a fresh random experiment id of 18 decimal digits, the length MLflow's file store uses."""
    return ExperimentId(str(10**17 + secrets.randbelow(9 * 10**17)))


def new_producer_id() -> ProducerId:
    """Return a fresh random producer id (24 hex digits)."""
    return ProducerId(secrets.token_hex(12))
