"""The commonest record, written straight to bytes: one point of one metric, as each call of `log_metric` sends it.

What comes out is byte for byte what `freeze_record` makes of the record, in a third of the time. The format's home is
`codec`; a test holds the two together.
"""

from __future__ import annotations

import hashlib
import os
import struct
from functools import lru_cache
from typing import NamedTuple

import msgpack

from mltrail_core.errors import Invalid
from mltrail_core.events import MetricsLogged
from mltrail_core.ids import DEFAULT_WORKSPACE, Partition, ProducerId
from mltrail_core.record.codec import Actor, FrozenRecord, check_header, frame
from mltrail_core.record.plan import refuse_nul

_SALT_BYTES = 16
_KNOWN_ENOUGH = 10_000
_INT64 = range(-(2**63), 2**63)
_EVENTS_BEGIN = b"\x91\x92%b\x87%b" % (msgpack.packb(MetricsLogged.WIRE_NAME), msgpack.packb("occurred_us"))
"""Of a list of one event: its name, and the first of seven fields."""
_KEY_INDEX_AND_STEP = b"%b\xc4\x04\0\0\0\0%b\xc4\x08" % (msgpack.packb("key_indices"), msgpack.packb("steps"))
_TIME = b"%b\xc4\x08" % msgpack.packb("times_us")
_VALUE = b"%b\xc4\x08" % msgpack.packb("values")
_COLUMNS = struct.Struct(f"<{len(_KEY_INDEX_AND_STEP)}sq{len(_TIME)}sq{len(_VALUE)}sd").pack
_HASHED_TEXT = b"\xc7\x20\x01"
"""How msgpack begins an ext of type 1 with 32 bytes."""


class SinglePoint(NamedTuple):
    """One point of a run, linked to nothing, whose key is known to be good; times as in `MetricsLogged`."""

    run_id: str
    occurred_us: int
    key: str
    value: float
    step: int
    time_us: int


def freeze_point(
    partition: Partition,
    producer: ProducerId,
    sequence: int,
    actor: Actor,
    point: SinglePoint,
    *,
    salt: bytes | None = None,
) -> FrozenRecord:
    """Return the bytes of a record with one `metrics_logged` of one point, as `freeze_record` does.

    Raises:
        Invalid: as from `freeze_record`.
    """
    salt = os.urandom(_SALT_BYTES) if salt is None else salt
    if sequence not in _SEQUENCES:
        check_header(partition, producer, sequence)
    try:
        name, packed_name, known = _actor(actor.name, actor.known)
        if point.occurred_us not in _INT64:
            raise OverflowError(f"{point.occurred_us} is beyond 64 bits")
        body = b"".join((
            _header(partition, producer),
            msgpack.packb(sequence),
            _HASHED_TEXT,
            hashlib.sha256(salt + name).digest(),
            known,
            _EVENTS_BEGIN,
            msgpack.packb(point.occurred_us),
            _names(point.run_id, point.key),
            _COLUMNS(_KEY_INDEX_AND_STEP, point.step, _TIME, point.time_us, _VALUE, point.value),
        ))  # fmt: skip
    except (UnicodeEncodeError, OverflowError, struct.error) as error:
        raise Invalid(f"a value of the record can't be written: {error}") from error
    return frame(body, b"\x91\x92\xc4\x10%b%b" % (salt, packed_name), None)


_SEQUENCES = range(1, 2**53)


@lru_cache(maxsize=64)
def _header(partition: Partition, producer: ProducerId) -> bytes:
    check_header(partition, producer, 1)
    packed = [msgpack.packb(each) for each in (DEFAULT_WORKSPACE, partition, producer)]
    return b"\x97" + b"".join(packed)


@lru_cache(maxsize=_KNOWN_ENOUGH)
def _actor(name: str, known: str) -> tuple[bytes, bytes, bytes]:
    refuse_nul(name)
    return name.encode(), msgpack.packb(name), msgpack.packb(known)


@lru_cache(maxsize=_KNOWN_ENOUGH)
def _names(run_id: str, key: str) -> bytes:
    refuse_nul(run_id)
    refuse_nul(key)
    packed: bytes = b"".join(map(msgpack.packb, ("run_id", run_id, "keys", [key])))
    return packed
