"""What befalls a round, and when: all of it follows from the seed and the round's number."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Literal

Victim = Literal["api", "projector", "valkey", "http network", "redis network", "trainer 0", "trainer 1", "trainer 2", "trainer 3"]  # noqa: E501  # fmt: skip
What = Literal["killed", "stalled", "reset", "half-closed"]

TRAINERS = 4
_NETWORK: tuple[What, ...] = ("stalled", "reset", "half-closed")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; who it befalls comes back after `for_s`."""

    at_s: float
    """After all trainers have begun."""
    victim: Victim
    what: What
    for_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A round."""

    seed: int
    number: int
    train_s: float
    faults: tuple[Fault, ...]
    large_bytes: int
    """Of the one large artifact; 0 for none."""
    large_trainer: int

    @property
    def random(self) -> Random:
        """For what is left to chance while the round goes on."""
        return Random(f"{self.seed} {self.number} on the way")

    def shown(self) -> str:
        """Return what befalls whom, for a line of output."""
        counted = Counter(f"{fault.victim} {fault.what}" for fault in self.faults)
        words = [what if count == 1 else f"{what} ×{count}" for what, count in counted.items()]
        return ", ".join(sorted(words))


def plan_of(seed: int, number: int, *, train_s: float, artifact_bytes: int) -> Plan:
    """Return the round of this number. Every round has faults of every kind but the projector's, which half of them
    have; every second round has a large artifact of `artifact_bytes`."""
    random = Random(f"{seed} {number}")
    trainers: list[Victim] = ["trainer 0", "trainer 1", "trainer 2", "trainer 3"]
    faults = [
        _fault(random, "api", "killed", train_s),
        *(_fault(random, "valkey", "killed", train_s) for _ in range(random.randint(1, 2))),
        *(_fault(random, "projector", "killed", train_s) for _ in range(random.randint(0, 1))),
        *(_fault(random, "http network", random.choice(_NETWORK), train_s) for _ in range(random.randint(1, 3))),
        *(_fault(random, "redis network", random.choice(_NETWORK), train_s) for _ in range(random.randint(1, 2))),
        *(_fault(random, trainer, "killed", train_s) for trainer in random.sample(trainers, random.randint(1, 3))),
    ]
    has_large = artifact_bytes > 0 and number % 2 == 0
    return Plan(
        seed,
        number,
        train_s,
        tuple(sorted(faults, key=lambda fault: fault.at_s)),
        artifact_bytes if has_large else 0,
        random.randrange(TRAINERS),
    )


def _fault(random: Random, victim: Victim, what: What, train_s: float) -> Fault:
    # Until the first trainers end, so that some of them find nobody there.
    return Fault(random.uniform(0.0, train_s + 0.3), victim, what, random.uniform(0.0, 0.8))
