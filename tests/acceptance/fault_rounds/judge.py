"""The verdict on a round: the read model has what calls had returned from, by their durability, and nothing else.

What a killed trainer did too late to be promised (see `Incarnation.is_promised`), up to the call in which it was
killed, may be there or not. Of trainers that ended by themselves: everything, and no producer misses a record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from mltrail_core.intervals import parse_intervals
from tests.acceptance.fault_rounds.arrived import ArrivedRun, Fact
from tests.acceptance.fault_rounds.calls import Call, calls_of
from tests.acceptance.fault_rounds.journal import START_RUN, Line
from tests.acceptance.fault_rounds.trainer import artifact_of
from tests.acceptance.fault_rounds.trainers import Incarnation

_SHOWN = 4


@dataclass(slots=True)
class Verdict:
    """On one run."""

    faults: list[str] = field(default_factory=list)
    fact_count: int = 0
    file_bytes: int = 0
    lost_ns: int = 0
    """How long before a kill the oldest call had returned that was lost, as it may be; 0 when none was."""


def judge(incarnations: Sequence[Incarnation], arrived: ArrivedRun) -> Verdict:
    """Compare a run with what all processes that wrote to it are known to have said."""
    verdict = Verdict(list(arrived.faults), sum(arrived.facts.values()))
    verdict.file_bytes = sum(int(str(size)) for kind, _, size, _ in arrived.facts if kind == "artifact")
    known: set[Fact] = set()
    for incarnation in incarnations:
        returned = {line.number: line for line in incarnation.lines}
        missing: list[str] = []
        for call in _begun(incarnation):
            facts = set(facts_of(call))
            known |= facts
            line = returned.get(call.number)
            if line is None or facts <= arrived.facts.keys():
                continue
            if incarnation.is_promised(line):
                missing.append(f"{call.kind} {call.number}{_age(line, incarnation)}")
            elif incarnation.killed_ns is not None:
                verdict.lost_ns = max(verdict.lost_ns, incarnation.killed_ns - line.returned_ns)
        who = f"{incarnation.order.name}, incarnation {incarnation.order.incarnation}"
        if missing:
            verdict.faults.append(f"{who}: {len(missing)} calls are lost: {_some(missing)}")
        verdict.faults += [f"{who}: {fault}" for fault in _faults_of_producers(incarnation, arrived)]
    doubled = [f"{fact} ×{count}" for fact, count in arrived.facts.items() if count > 1]
    if doubled:
        verdict.faults.append(f"{len(doubled)} doubled: {_some(doubled)}")
    if unknown := [str(fact) for fact in arrived.facts if fact not in known]:
        verdict.faults.append(f"{len(unknown)} that nobody has said: {_some(unknown)}")
    last = incarnations[-1]
    if last.killed_ns is None and arrived.status != "FINISHED":
        verdict.faults.append(f"{last.order.name} has ended, and the run is {arrived.status}")
    return verdict


def _begun(incarnation: Incarnation) -> Iterator[Call]:
    """Yield the calls that had returned, and for a killed trainer the one in which it may have been killed."""
    order = incarnation.order
    last = max((line.number for line in incarnation.lines), default=START_RUN)
    is_killed = incarnation.killed_ns is not None
    return islice(calls_of(order.name, order.incarnation, order.large_bytes), last + is_killed)


def facts_of(call: Call) -> Iterator[Fact]:
    """Yield what a run shows once the call has arrived."""
    if call.file is not None:
        yield "artifact", artifact_of(call), call.file.size_bytes, call.file.sha256()
    elif call.points:
        yield from (("point", key, step, value) for key, step, value in call.points)
    else:
        yield (call.kind, *call.text, None)


def _faults_of_producers(incarnation: Incarnation, arrived: ArrivedRun) -> Iterator[str]:
    own = [marks for marks in arrived.producers if marks.process_id == incarnation.process.pid]
    for marks in own:
        received = parse_intervals(marks.intervals)
        last = marks.last_sequence
        if last is None:
            if incarnation.killed_ns is None:
                yield f"end unknown, received {marks.intervals}"
            # What a dead process had numbered, it had spooled: then there is no hole either.
            last = int(marks.intervals.replace("-", ",").rpartition(",")[2] or 0)
        if missing := str(received.missing(last)):
            yield f"received {marks.intervals}, missing {missing} of 1-{last}"
    if not own and incarnation.killed_ns is None:
        yield "nothing is known of its producer"


def _age(line: Line, incarnation: Incarnation) -> str:
    if incarnation.killed_ns is None:
        return ""
    return f", returned {(incarnation.killed_ns - line.returned_ns) / 1e6:.0f} ms before the kill"


def _some(words: Sequence[str]) -> str:
    return "; ".join(words[:_SHOWN]) + ("; …" if len(words) > _SHOWN else "")
