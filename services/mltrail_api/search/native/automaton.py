"""Matching regular expressions in one pass over the text, for SQLite, which has no engine of its own.

Python's `re` tries alternatives one after the other, so `(a*)*b` takes it for ever. Here a set of states of Thompson's
automaton stands for all attempts at once; each set that comes up is made once and remembered with where each
character leads from it (R. Cox, "Regular Expression Matching Can Be Simple And Fast", 2007).
"""

from __future__ import annotations

import functools
from bisect import bisect_right
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import assert_never

from mltrail_api.search.native.pattern import (
    Characters,
    Choice,
    Edge,
    Node,
    Pattern,
    Ranges,
    Repeat,
    Sequence,
    parse_pattern,
)

MAX_REMEMBERED = 50_000
"""States in sets, and characters that lead from them, kept for one pattern: a few MB. Past it they are made anew."""


@functools.lru_cache(maxsize=16)
def matcher_of(pattern: str) -> Matcher:
    """Return what says whether a text holds a match of a pattern that `parse_pattern` takes."""
    return Matcher(parse_pattern(pattern))


def _go_on() -> None:
    """Nobody limits how long matching takes."""


@dataclass(slots=True)
class _State:
    """A place in the pattern: what may be passed without a character, and what with one."""

    free: list[int] = field(default_factory=list)
    at_begin: list[int] = field(default_factory=list)
    at_end: list[int] = field(default_factory=list)
    ranges: Ranges = ()
    target: int = -1


@dataclass(slots=True, eq=False)
class _Set:
    """States that all attempts together are in, and where each character seen so far led from them."""

    members: tuple[int, ...]
    accepts: bool
    accepts_at_end: bool
    after: dict[str, _Set] = field(default_factory=dict)


class Matcher:
    """A pattern as an automaton. Threads share it: what one writes any other would have written."""

    def __init__(self, pattern: Pattern) -> None:
        self._states: list[_State] = []
        self._final = self._add(_State())
        self._start = self._build(pattern.root, self._final)
        self._sets: dict[frozenset[int], _Set] = {}
        self._remembered = 0
        self._first = self._set_of({self._start}, is_begin=True)

    def holds(self, text: str, check: Callable[[], None] = _go_on) -> bool:
        """Return whether some part of `text` matches; `check` is called before steps that take long, and may raise."""
        current = self._first
        for character in text:
            if current.accepts:
                return True
            following = current.after.get(character)
            current = following if following is not None else self._step(current, character, check)
        return current.accepts or current.accepts_at_end

    def _step(self, current: _Set, character: str, check: Callable[[], None]) -> _Set:
        check()
        code = ord(character)
        targets = {state.target for state in map(self._states.__getitem__, current.members) if _holds(state, code)}
        following = self._set_of({*targets, self._start}, is_begin=False)  # a match may begin at any character
        self._remembered += 1
        current.after[character] = following
        return following

    def _set_of(self, states: set[int], *, is_begin: bool) -> _Set:
        inside = frozenset(self._passed(states, is_begin=is_begin, is_end=False))
        found = None if is_begin else self._sets.get(inside)
        if found is None:
            members = tuple(state for state in sorted(inside) if self._states[state].ranges)
            at_end = self._passed(inside, is_begin=is_begin, is_end=True)
            found = _Set(members, self._final in inside, self._final in at_end)
            if not is_begin:
                self._remembered += len(inside)
                if self._remembered > MAX_REMEMBERED:
                    self._forget()
                self._sets[inside] = found
        return found

    def _forget(self) -> None:
        for forgotten in (self._first, *self._sets.values()):
            forgotten.after.clear()
        self._sets.clear()
        self._remembered = 0

    def _passed(self, states: Collection[int], *, is_begin: bool, is_end: bool) -> set[int]:
        """Return what can be reached from `states` without a character, themselves among it."""
        found, waiting = set(states), list(states)
        while waiting:
            state = self._states[waiting.pop()]
            reached = [*state.free, *(state.at_begin if is_begin else ()), *(state.at_end if is_end else ())]
            for target in reached:
                if target not in found:
                    found.add(target)
                    waiting.append(target)
        return found

    def _add(self, state: _State) -> int:
        self._states.append(state)
        return len(self._states) - 1

    def _build(self, node: Node, following: int) -> int:
        """Return the state from which `node` leads to `following`."""
        match node:
            case Characters(ranges):
                return self._add(_State(ranges=ranges, target=following))
            case Edge(is_end):
                return self._add(_State(at_end=[following]) if is_end else _State(at_begin=[following]))
            case Sequence(parts):
                for part in reversed(parts):
                    following = self._build(part, following)
                return following
            case Choice(parts):
                return self._add(_State(free=[self._build(part, following) for part in parts]))
            case Repeat(part, least, most):
                following = self._loop(part, following) if most is None else self._maybe(part, following, most - least)
                for _ in range(least):
                    following = self._build(part, following)
                return following
            case _ as unreachable:
                assert_never(unreachable)

    def _maybe(self, part: Node, following: int, times: int) -> int:
        begin = following
        for _ in range(times):
            begin = self._add(_State(free=[self._build(part, begin), following]))
        return begin

    def _loop(self, part: Node, following: int) -> int:
        again = self._add(_State(free=[following]))
        self._states[again].free.append(self._build(part, again))
        return again


def _holds(state: _State, code: int) -> bool:
    place = bisect_right(state.ranges, (code, 0x110000)) - 1
    return place >= 0 and code <= state.ranges[place][1]
