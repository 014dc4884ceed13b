"""Which params, tags and metrics of runs are wanted, so that a page loads no others."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Columns:
    """The keys that are wanted of each kind; None is all of them. `inputs`: also datasets and models."""

    params: Collection[str] | None = None
    tags: Collection[str] | None = None
    metrics: Collection[str] | None = None
    inputs: bool = True


ALL = Columns()
