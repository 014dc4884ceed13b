"""The points of many events of one run, put together as bytes: no array is made until all are there."""

from __future__ import annotations

import numpy as np

from mltrail_core.events import MetricsLogged
from mltrail_core.metric_block import MetricBlock

_KEY_INDEX, _INT, _FLOAT = np.dtype("<u4"), np.dtype("<i8"), np.dtype("<f8")


class GatheredPoints:
    """The points of one run in a transaction or record, in order, under one dictionary of keys."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self.last_index = 0
        """Of the last event that was added, in the run's partition."""
        self._first_keys = keys
        self._numbers = {key: number for number, key in enumerate(keys)}
        self._key_indices: list[bytes] = []
        self._steps: list[bytes] = []
        self._times_us: list[bytes] = []
        self._values: list[bytes] = []

    def add(self, event: MetricsLogged, index: int) -> None:
        """Add the points of an event at `index`, whose columns are in order and whose keys are distinct."""
        self.last_index = index
        self._key_indices.append(self._renumbered(event))
        self._steps.append(event.steps)
        self._times_us.append(event.times_us)
        self._values.append(event.values)

    def block(self) -> MetricBlock:
        """Return all points."""
        return MetricBlock(
            tuple(self._numbers),
            np.frombuffer(b"".join(self._key_indices), dtype=_KEY_INDEX),
            np.frombuffer(b"".join(self._steps), dtype=_INT),
            np.frombuffer(b"".join(self._times_us), dtype=_INT),
            np.frombuffer(b"".join(self._values), dtype=_FLOAT),
        )

    def event(self, run_id: str, occurred_us: int) -> MetricsLogged:
        """Return the event that logs all points to a run."""
        return MetricsLogged(
            occurred_us,
            run_id,
            tuple(self._numbers),
            b"".join(self._key_indices),
            b"".join(self._steps),
            b"".join(self._times_us),
            b"".join(self._values),
        )

    def _renumbered(self, event: MetricsLogged) -> bytes:
        keys, numbers = event.keys, self._numbers
        if keys == self._first_keys:  # as when each event holds one step of a training
            return event.key_indices
        if len(keys) == 1:
            number = numbers.setdefault(keys[0], len(numbers))
            return number.to_bytes(4, "little") * (len(event.key_indices) // 4)
        renumbered = np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=_KEY_INDEX)
        return renumbered[np.frombuffer(event.key_indices, dtype=_KEY_INDEX)].tobytes()
