"""From a `Record` to the bytes that the log keeps for ever, and back.

    frozen  = "MLT" ‖ format version (1 byte) ‖ msgpack [body, detached, attestation or nil]
    body    = msgpack [workspace, partition, producer, sequence, actor, known, [[wire name, {field: value}], …]]
    detached= msgpack [[salt, text] or nil when erased, …]       one for each text ext in `body`, in order

A free text stands in `body` as msgpack ext 1 holding sha256(salt ‖ UTF-8), so erasing it leaves every hash intact.
The identity of a record is sha256(body): what a producer re-sends is equal, also when a server attests it anew.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NewType

import msgpack

from mltrail_core.errors import Invalid
from mltrail_core.events import BY_WIRE_NAME, Event
from mltrail_core.events.text import ERASED
from mltrail_core.ids import DEFAULT_WORKSPACE, PARTITIONS, Partition, ProducerId
from mltrail_core.record.plan import Plan, plan_of, refuse_nul

FORMAT_VERSION = 1
_MAGIC = b"MLT"
_TEXT_EXT = 1
_SALT_BYTES = 16
_MAX_SEQUENCE = 2**53
_MAX_PRODUCER_CHARACTERS = 64
_PARTITIONS = frozenset(PARTITIONS)

GOOD_RECORD_BYTES = 512 * 1024
"""Producers send a record once it is about this large: 256 KB to 1 MB appends fastest."""
MAX_RECORD_BYTES = 8 * 1024 * 1024
"""No larger record is frozen or decoded."""

MAX_ITEMS = 262_144
"""No list of a record (its events, a block's keys) is longer: 8 MB of empty ones took 580 MB to decode."""
_MAX_FIELDS = 64

FrozenRecord = NewType("FrozenRecord", bytes)
Known = Literal["claimed", "verified"]

_PLANS: dict[str, tuple[type[Event], Plan]] = {name: (event, plan_of(event)) for name, event in BY_WIRE_NAME.items()}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it, and how that is known: `claimed` by the producer or `verified` by a token."""

    name: str
    known: Known = "claimed"


@dataclass(frozen=True, slots=True)
class Attestation:
    """What a server adds to a record that a trainer froze: how it knows the sender (`token`) and the token's id."""

    how: str
    reference: str


@dataclass(frozen=True, slots=True)
class Record:
    """The events that one producer sends together to one partition, under a sequence that counts from 1."""

    partition: Partition
    producer: ProducerId
    sequence: int
    actor: Actor
    events: tuple[Event, ...]
    workspace: str = DEFAULT_WORKSPACE
    attestation: Attestation | None = None


class _Detacher:
    """Collects free texts while a record is frozen, each with a fresh salt."""

    def __init__(self, salts: Iterator[bytes] | None) -> None:
        self.detached: list[tuple[bytes, str]] = []
        self._salts = salts

    def __call__(self, text: str) -> msgpack.ExtType:
        refuse_nul(text)
        salt = os.urandom(_SALT_BYTES) if self._salts is None else next(self._salts)
        self.detached.append((salt, text))
        # _make: the constructor's checks of what we know cost 4 µs, as much as the rest of the event.
        return msgpack.ExtType._make((_TEXT_EXT, hashlib.sha256(salt + text.encode()).digest()))


class _Attacher:
    """Puts free texts back while a record is decoded, in the order in which they were detached; checks each hash."""

    def __init__(self, detached: list[object]) -> None:
        self._detached = iter(detached)

    def __call__(self, stand_in: object) -> str:
        if type(stand_in) is not tuple:
            raise Invalid(f"a free text should stand as ext {_TEXT_EXT} in the body, found {type(stand_in).__name__}")
        detached = next(self._detached, False)
        if detached is None:
            return ERASED
        if isinstance(detached, list) and len(detached) == 2:
            salt, text = detached
            if type(salt) is bytes and isinstance(text, str):
                if hashlib.sha256(salt + text.encode()).digest() != stand_in[1]:
                    raise Invalid("a detached text does not match its hash in the record's body")
                return refuse_nul(text)
        raise Invalid("the record's detached part lacks a text or holds one that is not [salt, text]")

    def is_exhausted(self) -> bool:
        return next(self._detached, False) is False


def freeze_record(record: Record, *, salts: Iterator[bytes] | None = None) -> FrozenRecord:
    """Return the record's bytes, to be kept and re-sent as they are; freezing twice gives two identities (fresh salts).

    `salts` (16 bytes each) replaces the random source where every process must freeze the same bytes.

    Raises:
        Invalid: the record is larger than `MAX_RECORD_BYTES` (send its events in several), holds a lone surrogate, a
            NUL or an integer beyond 64 bits, or names a partition, sequence or producer that no reader would take.
    """
    check_header(record.partition, record.producer, record.sequence)
    detach = _Detacher(salts)
    header = [record.workspace, record.partition, record.producer, record.sequence]
    try:
        actor = detach(record.actor.name)
        events = [[event.WIRE_NAME, _PLANS[event.WIRE_NAME][1].pack(event, detach)] for event in record.events]
        body = msgpack.packb([*header, actor, record.actor.known, events])
        if len(events) > MAX_ITEMS or len(detach.detached) > MAX_ITEMS:
            raise Invalid(f"a record of {len(events):,} events holds more than {MAX_ITEMS:,} items; send fewer in each")
        return frame(body, msgpack.packb(detach.detached), record.attestation)
    except (UnicodeEncodeError, OverflowError) as error:
        raise Invalid(f"a value of the record can't be written: {error}") from error


def decode_record(frozen: bytes) -> Record:
    """Return the record that `frozen` holds.

    Raises:
        Invalid: the bytes are not a record of a known format, or a field has another type than its event says.
    """
    return decode_with_identity(frozen)[0]


def decode_with_identity(frozen: bytes) -> tuple[Record, bytes]:
    """Return the record that `frozen` holds, and its `identity_hash`.

    Raises:
        Invalid: as from `decode_record`.
    """
    body, detached, attestation = _unframe(frozen)
    header = _unpack(body)
    if not isinstance(header, list) or len(header) != 7:
        raise Invalid("the record's body is not [workspace, partition, producer, sequence, actor, known, events]")
    workspace, partition, producer, sequence, actor, known, events = header
    if not isinstance(workspace, str) or not isinstance(events, list):
        raise Invalid("the record's workspace is not a text, or its events are not a list")
    check_header(partition, producer, sequence)
    if known not in ("claimed", "verified"):
        raise Invalid(f"the record's actor is known as {known!r}; expected 'claimed' or 'verified'")
    texts = _unpack(detached)
    if not isinstance(texts, list):
        raise Invalid("the record's detached part is not a list")
    attach = _Attacher(texts)
    record = Record(
        workspace=workspace,
        partition=partition,
        producer=producer,
        sequence=sequence,
        actor=Actor(attach(actor), known),
        events=tuple([_decode_event(event, attach) for event in events]),
        attestation=attestation,
    )
    if not attach.is_exhausted():
        raise Invalid("the record's detached part holds more texts than its body names")
    return record, hashlib.sha256(body).digest()


def attest(frozen: FrozenRecord, attestation: Attestation) -> FrozenRecord:
    """Return the same record with a server's word on who sent it; its identity stays."""
    body, detached, _ = _unframe(frozen)
    return frame(body, detached, attestation)


def identity_hash(frozen: bytes) -> bytes:
    """Return sha256 of the body (32 bytes): equal for every re-send of one record."""
    return hashlib.sha256(_unframe(frozen)[0]).digest()


def leaf_hash(frozen: bytes) -> bytes:
    """Return the record's RFC 6962 leaf hash (32 bytes), over body and attestation; erasing texts keeps it."""
    body, _, attestation = _unframe(frozen)
    # Of msgpack's [body, attestation], piece by piece: packing it would copy the body, twice.
    hashed = hashlib.sha256(b"\x00\x92" + _bin_header(len(body)))
    hashed.update(body)
    hashed.update(msgpack.packb(_packable(attestation)))
    return hashed.digest()


def _bin_header(size: int) -> bytes:
    if size < 1 << 8:
        return b"\xc4" + size.to_bytes(1, "big")
    return b"\xc5" + size.to_bytes(2, "big") if size < 1 << 16 else b"\xc6" + size.to_bytes(4, "big")


def _packable(attestation: Attestation | None) -> list[str] | None:
    return None if attestation is None else [attestation.how, attestation.reference]


def check_header(partition: object, producer: object, sequence: object) -> None:
    """Do nothing when a record may have these.

    Raises:
        Invalid: no reader would take them.
    """
    if not isinstance(partition, str) or partition not in _PARTITIONS:
        raise Invalid(f"the record names partition {partition!r}; there are 00 to 15 and control")
    if not isinstance(producer, str) or not 1 <= len(producer) <= _MAX_PRODUCER_CHARACTERS:
        raise Invalid(f"the record's producer is {producer!r}; expected 1 to {_MAX_PRODUCER_CHARACTERS} characters")
    refuse_nul(producer)
    if type(sequence) is not int or not 1 <= sequence < _MAX_SEQUENCE:
        raise Invalid(f"the record's sequence is {sequence!r}; sequences count from 1")


def frame(body: bytes, detached: bytes, attestation: Attestation | None) -> FrozenRecord:
    """Return the whole record's bytes, from those of its parts.

    Raises:
        Invalid: it is too large.
    """
    frozen = _MAGIC + bytes([FORMAT_VERSION]) + msgpack.packb([body, detached, _packable(attestation)])
    if len(frozen) > MAX_RECORD_BYTES:
        raise Invalid(
            f"a record of {len(frozen):,} bytes is over the limit of {MAX_RECORD_BYTES:,}; send fewer events in each"
        )
    return FrozenRecord(frozen)


# Below, and wherever each record and event passes, types are asked for with `type` and `isinstance`: on Python 3.11
# a class pattern of `match` costs 1.5 µs, so the patterns alone made a small record take 40 µs to decode.


def _unframe(frozen: bytes) -> tuple[bytes, bytes, Attestation | None]:
    if len(frozen) > MAX_RECORD_BYTES:
        raise Invalid(f"a record of {len(frozen):,} bytes is over the limit of {MAX_RECORD_BYTES:,}")
    if frozen[:3] != _MAGIC:
        raise Invalid("these bytes are not a record: they do not begin with 'MLT'")
    if frozen[3:4] != bytes([FORMAT_VERSION]):
        found = frozen[3:4].hex() or "none"
        raise Invalid(f"the record has format version {found}; this mltrail reads {FORMAT_VERSION}")
    framed = _unpack(memoryview(frozen)[4:])
    if isinstance(framed, list) and len(framed) == 3:
        body, detached, attestation = framed
        if type(body) is bytes and type(detached) is bytes:
            return body, detached, _attestation(attestation)
    raise Invalid("the record is not [body, detached, attestation]")


def _attestation(packed: object) -> Attestation | None:
    if packed is None:
        return None
    if isinstance(packed, list) and len(packed) == 2:
        how, reference = packed
        if isinstance(how, str) and isinstance(reference, str):
            return Attestation(refuse_nul(how), refuse_nul(reference))
    raise Invalid("the record's attestation is neither nil nor [how, reference]")


def _stand_in(code: int, data: bytes) -> tuple[int, bytes]:
    # A tuple, because nothing else that msgpack gives is one, and an ExtType costs 2 µs.
    if code != _TEXT_EXT:
        raise Invalid(f"the record holds msgpack ext {code}; only {_TEXT_EXT}, a free text's hash, is known")
    return code, data


def _unpack(packed: bytes | memoryview) -> object:
    try:
        unpacked: object = msgpack.unpackb(
            packed,
            strict_map_key=True,
            ext_hook=_stand_in,
            max_array_len=MAX_ITEMS,
            max_map_len=_MAX_FIELDS,
        )
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise Invalid(f"the record is not valid msgpack: {error}") from error
    return unpacked


def _decode_event(event: object, attach: _Attacher) -> Event:
    if isinstance(event, list) and len(event) == 2:
        wire_name, packed = event
        if isinstance(wire_name, str) and isinstance(packed, dict):
            if wire_name not in _PLANS:
                raise Invalid(f"the record holds an event {wire_name!r}, which this mltrail does not know")
            event_type, plan = _PLANS[wire_name]
            return event_type(*plan.unpack(packed, attach))
    raise Invalid("an event of the record is not [wire name, fields]")
