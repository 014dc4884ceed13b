"""Whether a run may be written to, remembered for a moment so that a stream of metrics costs no query each."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from mltrail_api.begun import Begun
from mltrail_api.mlflow.runs.queries import RunState, run_state
from mltrail_api.visibility import EVENTUAL, Visibility, freshness_of
from mltrail_core.errors import Invalid, Unavailable

REMEMBER_S = 1.0
"""How long another worker's delete may go unnoticed here; the fold of the run's partition decides in any case."""
_LOOK_AHEAD_S = 0.5
"""A run that is still written to after this long is looked at again, by one reader: when it was forgotten first, all
who write to it would look at once."""
_MAX_REMEMBERED = 20_000


@dataclass(slots=True)
class _Remembered:
    state: RunState
    until_s: float
    look_at_s: float


class RunStates:
    """The active runs that this worker wrote to lately."""

    def __init__(self, visibility: Visibility) -> None:
        self._visibility = visibility
        self._remembered: dict[str, _Remembered] = {}
        self._looks: set[asyncio.Task[None]] = set()
        """Those under way; an event loop alone would not keep them."""
        self._begun = Begun[RunState]()

    async def writable(self, run_id: str) -> RunState:
        """Return the state of a run that may be written to.

        Raises:
            NotFound: there is no such run, also after waiting once for what the log holds.
            Invalid: the run or its experiment is deleted.
            Unavailable: the read model can't be reached, or is behind, so that nobody knows.
        """
        remembered = self.remembered(run_id)
        if remembered is not None:
            return remembered
        state = await self.known(run_id)
        if not state.is_active:
            raise Invalid(
                f"The run {run_id} must be in the 'active' state. Current state is deleted. "
                f"Restore {'it' if state.is_deleted else f'its experiment {state.experiment_id}'} to write to it."
            )
        self._remember(state)
        return state

    def remembered(self, run_id: str) -> RunState | None:
        """Return the state of a run that was found writable a moment ago; in the event loop."""
        found = self._remembered.get(run_id)
        if found is None:
            return None
        now = time.monotonic()
        if now >= found.until_s:
            return None
        if now >= found.look_at_s:
            found.look_at_s = found.until_s  # one look is enough
            look = asyncio.get_running_loop().create_task(self._look_again(run_id, found))
            self._looks.add(look)
            look.add_done_callback(self._looks.discard)
        return found.state

    async def known(self, run_id: str, *, is_current: bool = False) -> RunState:
        """Return the state of a run, active or not; `is_current` waits for what the log holds in any case.

        Raises:
            NotFound, Unavailable: as `writable`.
        """
        barrier = freshness_of(run_id)
        for freshness in (barrier,) if is_current else (EVENTUAL, barrier):
            seen = await self._visibility.read(lambda connection: run_state(connection, run_id), freshness)
            if seen.value is not None and (seen.value.is_active or freshness is barrier):
                return seen.value
        begun = self._begun.get(run_id) if seen.is_behind else None
        if begun is not None:
            return begun
        raise seen.absence(f"Run with id={run_id[:300]} not found")

    def begin(self, state: RunState) -> None:
        """Take note of a run whose creation is in the log, and maybe not projected yet."""
        self._begun.remember(state.run_id, state)
        self._remember(state)

    def forget(self, run_id: str) -> None:
        """Ask anew at the next write to this run."""
        self._remembered.pop(run_id, None)

    def forget_all(self) -> None:
        """Ask anew at the next write to any run: an experiment was deleted or restored."""
        self._remembered.clear()

    def _remember(self, state: RunState) -> None:
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.clear()
        now = time.monotonic()
        self._remembered[state.run_id] = _Remembered(state, now + REMEMBER_S, now + _LOOK_AHEAD_S)

    async def _look_again(self, run_id: str, found: _Remembered) -> None:
        try:
            seen = await self._visibility.read(lambda connection: run_state(connection, run_id), EVENTUAL)
        except Unavailable:
            return  # whoever writes when it is forgotten asks himself, and is told
        if self._remembered.get(run_id) is not found or seen.value is None:
            return  # it was deleted here meanwhile, or is not projected yet
        if seen.value.is_active:
            self._remember(seen.value)
        else:
            self.forget(run_id)
