"""The catalogue of keys: which metrics, params and tags the runs of each experiment have.

A key is written down once for each experiment, kind and partition, so a partition's rows depend on its records alone.
What was written is remembered, so that a key that is known costs one look into a set.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from mltrail_core.ids import Partition
from mltrail_core.readmodel import tables
from mltrail_projector.memory import Kind, Scope, WrittenKeys
from mltrail_projector.rows import Rows

UNANNOUNCED = ""
"""The experiment of a run that was written to before `run_created` came: ranks of one run race to the log."""


class Catalogue:
    """The keys that one transaction adds."""

    def __init__(self, rows: Rows, written: WrittenKeys | None = None) -> None:
        self._rows = rows
        self._written = WrittenKeys() if written is None else written
        self._fresh: dict[Scope, set[str]] = defaultdict(set)

    def knows(self, experiment_id: object, kind: Kind, partition: Partition, keys: Collection[str]) -> bool:
        """Return whether all these keys are known to stand in the catalogue."""
        return self._written.of((str(experiment_id), kind, partition)).issuperset(keys)

    def note(self, experiment_id: object, kind: Kind, partition: Partition, keys: Collection[str]) -> None:
        """Note that a run of the experiment has these keys; of a run that is not announced yet, nothing is noted."""
        if experiment_id == UNANNOUNCED:
            return
        scope = (str(experiment_id), kind, partition)
        written = self._written.of(scope)
        if not written.issuperset(keys):
            self._fresh[scope] |= set(keys) - written

    def flush(self) -> None:
        """Write what is new, where it is not written yet."""
        cells = [(*scope[:2], key, scope[2]) for scope, keys in self._fresh.items() for key in sorted(keys)]
        if cells:
            self._rows.add_absent(tables.experiment_keys, cells)

    def committed(self) -> None:
        """Remember what was written; called once the transaction has committed."""
        for scope, keys in self._fresh.items():
            self._written.remember(scope, keys)
        self._fresh.clear()
