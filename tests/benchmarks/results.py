"""What was measured, and its tables: a row for each work, a column for each peer, ratios beside the figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class WrongAnswer(AssertionError):
    """A peer did the work and answered something else than what was logged: its time means nothing."""


@dataclass(frozen=True, slots=True)
class Result:
    """One figure of one peer. `is_rate` says that more is better."""

    row: str
    peer: str
    value: float
    unit: str
    is_rate: bool = False


def check(is_right: bool, peer: str, what: str) -> None:
    """Raise `WrongAnswer` unless the peer's answer is right."""
    if not is_right:
        raise WrongAnswer(f"{peer}: {what}")


def table(results: Sequence[Result]) -> str:
    """Return the results as a Markdown table. A peer's ratio says how many times as good the first peer is."""
    peers = list(dict.fromkeys(result.peer for result in results))
    found = {(result.row, result.peer): result for result in results}
    lines = ["| work | " + " | ".join(peers) + " |", "| --- |" + " ---: |" * len(peers)]
    for row in dict.fromkeys(result.row for result in results):
        first = found.get((row, peers[0]))
        cells = [_cell(found.get((row, peer)), first) for peer in peers]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(result: Result | None, first: Result | None) -> str:
    if result is None:
        return "–"
    shown = f"{_figure(result.value)} {result.unit}"
    if first is None or first is result or not result.value or not first.value:
        return shown
    ratio = first.value / result.value if result.is_rate else result.value / first.value
    return f"{shown} ({_figure(ratio)}×)"


def _figure(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
