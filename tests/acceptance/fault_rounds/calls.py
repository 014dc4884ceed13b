"""The known sequences: what each call of a trainer logs follows from the trainer's name and the call's number alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

Kind = Literal["metric", "metrics", "series", "param", "tag", "artifact"]

_WEIGHTS: dict[Kind, int] = {"metric": 700, "metrics": 120, "series": 40, "param": 50, "tag": 80, "artifact": 10}
_KEYS = ("acc", "grad norm", "loss", "val/loss")
_SERIES_POINTS = 200
STEPS_OF_A_CALL = 1_000
"""Steps of different calls never meet, so a step that stands twice under a key was doubled."""
_CALLS_OF_A_TRAINER = 1_000_000
_CHUNK_BYTES = 1 << 20
LARGE_CALL = 150
"""The call that logs the large artifact, where a round has one: early enough that most trainers come to it."""


@dataclass(frozen=True, slots=True)
class File:
    """Bytes that follow from a name: nobody has to keep them to know them."""

    name: str
    size_bytes: int

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes; each chunk is another, so that parts in the wrong place show."""
        chunk = Random(self.name).randbytes(min(self.size_bytes, _CHUNK_BYTES))
        for start in range(0, self.size_bytes, _CHUNK_BYTES):
            whole = start.to_bytes(8, "big") + chunk[8:]
            yield whole[: min(_CHUNK_BYTES, self.size_bytes - start)]

    def sha256(self) -> str:
        """Return the hash of the bytes."""
        hashed = hashlib.sha256()
        for chunk in self.chunks():
            hashed.update(chunk)
        return hashed.hexdigest()


@dataclass(frozen=True, slots=True)
class Call:
    """One call, and what a run shows once it has arrived."""

    number: int
    kind: Kind
    points: tuple[tuple[str, int, float], ...] = ()
    """Key, step and value."""
    text: tuple[str, str] = ("", "")
    """Key and value of a param or tag."""
    file: File | None = None


def calls_of(trainer: str, incarnation: int, large_bytes: int) -> Iterator[Call]:
    """Yield the calls of a trainer, from number 1 and without end.

    Args:
        trainer: no two trainers of all rounds have the same name.
        incarnation: how often the trainer had come back before.
        large_bytes: of the one large artifact; 0 for none.
    """
    random = Random(f"{trainer} {incarnation}")
    kinds: list[Kind] = list(_WEIGHTS)
    for number in range(1, _CALLS_OF_A_TRAINER):
        kind: Kind = random.choices(kinds, list(_WEIGHTS.values()))[0]
        name = f"{incarnation}/{number}"
        first_step = (incarnation * _CALLS_OF_A_TRAINER + number) * STEPS_OF_A_CALL
        if number == LARGE_CALL and large_bytes:
            yield Call(number, "artifact", file=File(f"{trainer}/{name}/large.bin", large_bytes))
        elif kind == "metric":
            yield Call(number, kind, ((random.choice(_KEYS), first_step, random.random()),))
        elif kind == "metrics":
            yield Call(number, kind, tuple((key, first_step, random.random()) for key in _KEYS))
        elif kind == "series":
            count = random.randint(1, _SERIES_POINTS)
            yield Call(number, kind, tuple(("series", first_step + n, random.random()) for n in range(count)))
        elif kind == "artifact":
            yield Call(number, kind, file=File(f"{trainer}/{name}/small.bin", random.randint(0, 100_000)))
        else:
            yield Call(number, kind, text=(f"{kind}/{name}", f"{random.random()} – é"))
