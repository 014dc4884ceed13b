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
from mltrail_core.record.plan import Plan, plan_of

FORMAT_VERSION = 1
_MAGIC = b"MLT"
_TEXT_EXT = 1
_SALT_BYTES = 16
_MAX_SEQUENCE = 2**53

GOOD_RECORD_BYTES = 512 * 1024
"""Producers send a record once it is about this large: 256 KB to 1 MB appends fastest."""
MAX_RECORD_BYTES = 8 * 1024 * 1024
"""No larger record is frozen or decoded."""

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
    """Collects free texts while a record is frozen; salts come from one read of the system's random source."""

    def __init__(self, salts: Iterator[bytes] | None) -> None:
        self.detached: list[tuple[bytes, str]] = []
        self._salts = salts

    def __call__(self, text: str) -> msgpack.ExtType:
        salt = os.urandom(_SALT_BYTES) if self._salts is None else next(self._salts)
        self.detached.append((salt, text))
        return msgpack.ExtType(_TEXT_EXT, hashlib.sha256(salt + text.encode()).digest())


class _Attacher:
    """Puts free texts back while a record is decoded, in the order in which they were detached; checks each hash."""

    def __init__(self, detached: list[object]) -> None:
        self._detached = iter(detached)

    def __call__(self, stand_in: object) -> str:
        if not isinstance(stand_in, msgpack.ExtType) or stand_in.code != _TEXT_EXT:
            raise Invalid(f"a free text should stand as ext {_TEXT_EXT} in the body, found {type(stand_in).__name__}")
        match next(self._detached, False):
            case None:
                return ERASED
            case [bytes(salt), str(text)]:
                if hashlib.sha256(salt + text.encode()).digest() != stand_in.data:
                    raise Invalid("a detached text does not match its hash in the record's body")
                return text
        raise Invalid("the record's detached part lacks a text or holds one that is not [salt, text]")

    def is_exhausted(self) -> bool:
        return next(self._detached, False) is False


def freeze_record(record: Record, *, salts: Iterator[bytes] | None = None) -> FrozenRecord:
    """Return the record's bytes, to be kept and re-sent as they are; freezing twice gives two identities (fresh salts).

    `salts` (16 bytes each) replaces the random source where every process must freeze the same bytes.

    Raises:
        Invalid: the record is larger than `MAX_RECORD_BYTES` (send its events in several), or holds a lone surrogate
            or an integer beyond 64 bits.
    """
    detach = _Detacher(salts)
    header = [record.workspace, record.partition, record.producer, record.sequence]
    try:
        actor = detach(record.actor.name)
        events = [[event.WIRE_NAME, _PLANS[event.WIRE_NAME][1].pack(event, detach)] for event in record.events]
        body = msgpack.packb([*header, actor, record.actor.known, events])
        frozen = _frame(body, msgpack.packb(detach.detached), record.attestation)
    except (UnicodeEncodeError, OverflowError) as error:
        raise Invalid(f"a value of the record can't be written: {error}") from error
    if len(frozen) > MAX_RECORD_BYTES:
        raise Invalid(
            f"a record of {len(frozen):,} bytes is over the limit of {MAX_RECORD_BYTES:,}; send fewer events in each"
        )
    return frozen


def decode_record(frozen: bytes) -> Record:
    """Return the record that `frozen` holds.

    Raises:
        Invalid: the bytes are not a record of a known format, or a field has another type than its event says.
    """
    body, detached, attestation = _unframe(frozen)
    header = _unpack(body)
    match header:
        case [str(workspace), str(partition), str(producer), int(sequence), actor, str(known), list(events)]:
            pass
        case _:
            raise Invalid("the record's body is not [workspace, partition, producer, sequence, actor, known, events]")
    if partition not in PARTITIONS:
        raise Invalid(f"the record names partition {partition!r}; there are 00 to 15 and control")
    if not 1 <= sequence < _MAX_SEQUENCE or isinstance(sequence, bool):
        raise Invalid(f"the record's sequence is {sequence!r}; sequences count from 1")
    if known not in ("claimed", "verified"):
        raise Invalid(f"the record's actor is known as {known!r}; expected 'claimed' or 'verified'")
    if not 1 <= len(producer) <= 64:
        raise Invalid(f"the record's producer has {len(producer)} characters; expected 1 to 64")
    texts = _unpack(detached)
    if not isinstance(texts, list):
        raise Invalid("the record's detached part is not a list")
    attach = _Attacher(texts)
    record = Record(
        workspace=workspace,
        partition=Partition(partition),
        producer=ProducerId(producer),
        sequence=sequence,
        actor=Actor(attach(actor), "verified" if known == "verified" else "claimed"),
        events=tuple(_decode_event(event, attach) for event in events),
        attestation=attestation,
    )
    if not attach.is_exhausted():
        raise Invalid("the record's detached part holds more texts than its body names")
    return record


def attest(frozen: FrozenRecord, attestation: Attestation) -> FrozenRecord:
    """Return the same record with a server's word on who sent it; its identity stays."""
    body, detached, _ = _unframe(frozen)
    return _frame(body, detached, attestation)


def identity_hash(frozen: bytes) -> bytes:
    """Return sha256 of the body (32 bytes): equal for every re-send of one record."""
    return hashlib.sha256(_unframe(frozen)[0]).digest()


def leaf_hash(frozen: bytes) -> bytes:
    """Return the record's RFC 6962 leaf hash (32 bytes), over body and attestation; erasing texts keeps it."""
    body, _, attestation = _unframe(frozen)
    return hashlib.sha256(b"\x00" + msgpack.packb([body, _packable(attestation)])).digest()


def _packable(attestation: Attestation | None) -> list[str] | None:
    return None if attestation is None else [attestation.how, attestation.reference]


def _frame(body: bytes, detached: bytes, attestation: Attestation | None) -> FrozenRecord:
    return FrozenRecord(_MAGIC + bytes([FORMAT_VERSION]) + msgpack.packb([body, detached, _packable(attestation)]))


def _unframe(frozen: bytes) -> tuple[bytes, bytes, Attestation | None]:
    if len(frozen) > MAX_RECORD_BYTES:
        raise Invalid(f"a record of {len(frozen):,} bytes is over the limit of {MAX_RECORD_BYTES:,}")
    if frozen[:3] != _MAGIC:
        raise Invalid("these bytes are not a record: they do not begin with 'MLT'")
    if frozen[3:4] != bytes([FORMAT_VERSION]):
        found = frozen[3:4].hex() or "none"
        raise Invalid(f"the record has format version {found}; this mltrail reads {FORMAT_VERSION}")
    match _unpack(frozen[4:]):
        case [bytes(body), bytes(detached), None]:
            return body, detached, None
        case [bytes(body), bytes(detached), [str(how), str(reference)]]:
            return body, detached, Attestation(how, reference)
    raise Invalid("the record is not [body, detached, attestation]")


def _unpack(packed: bytes) -> object:
    try:
        unpacked: object = msgpack.unpackb(packed, strict_map_key=True)
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise Invalid(f"the record is not valid msgpack: {error}") from error
    return unpacked


def _decode_event(event: object, attach: _Attacher) -> Event:
    match event:
        case [str(wire_name), dict(fields)] if wire_name in _PLANS:
            event_type, plan = _PLANS[wire_name]
            return event_type(**plan.unpack(fields, attach))
        case [str(wire_name), _]:
            raise Invalid(f"the record holds an event {wire_name!r}, which this mltrail does not know")
    raise Invalid("an event of the record is not [wire name, fields]")
