"""Runs that this worker began and that nobody else has written to: what the fold will say of their params is certain.

A run's id is drawn here, so nobody can have written to it before its creation stands in the log. As long as every
record of its partition since then is this worker's own (`Written.alone_since`), this worker knows all that the fold
will have seen of the run; see docs/decisions/0017.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mltrail_api.appender import Written

MAX_CHARACTERS = 8 << 20
"""Of keys and values of params, of all runs together; past it the oldest runs are forgotten, and their params wait."""
_RUN_CHARACTERS = 500
"""What a run counts for that has no params."""


@dataclass(slots=True, eq=False)
class OwnRun:
    """One run: where its creation stands, and every param that this worker has sent since."""

    created_index: int
    params: dict[str, str] = field(default_factory=dict)
    characters: int = _RUN_CHARACTERS

    def is_certain(self, written: Written) -> bool:
        """Return whether nobody else wrote to the run's partition between its creation and this record of ours."""
        return written.alone_since <= self.created_index and not written.may_be_twice


class OwnRuns:
    """The runs that this worker began lately. Used by one event loop; what is said here holds until the next await."""

    def __init__(self) -> None:
        self._runs: dict[str, OwnRun] = {}
        self._characters = 0

    def begin(self, run_id: str, created: Written) -> None:
        """Take note of a run whose creation is durable."""
        if created.may_be_twice:
            return
        self._runs[run_id] = OwnRun(created.appended.index)
        self._characters += _RUN_CHARACTERS
        while self._characters > MAX_CHARACTERS:
            self.forget(next(iter(self._runs)))

    def contradicts(self, run_id: str, params: Mapping[str, str]) -> bool:
        """Return whether another value was sent for one of these params."""
        run = self._runs.get(run_id)
        return run is not None and any(run.params.get(key, value) != value for key, value in params.items())

    def claim(self, run_id: str, params: Mapping[str, str]) -> OwnRun | None:
        """Note params that contradict none, and return the run; None for a run that is not known here.

        To be called right before they are queued for the log, with no await in between: so what was noted before
        stands before them in the log, or nowhere.
        """
        run = self._runs.get(run_id)
        if run is None:
            return None
        added = sum(len(key) + len(value) for key, value in params.items() if key not in run.params)
        run.params.update(params)
        run.characters += added
        self._characters += added
        if self._characters > MAX_CHARACTERS:
            self.forget(next(iter(self._runs)))
        return run

    def forget(self, run_id: str) -> None:
        """Wait for the fold's word on this run from now on."""
        run = self._runs.pop(run_id, None)
        if run is not None:
            self._characters -= run.characters
