"""The golden records: bytes that every later mltrail must decode to the same events.

`python -m tests.core.golden_records` adds what the file lacks (a new event, a field that an event gained) and never
changes what it holds: a log with those bytes may exist.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from mltrail_core.events import EVENT_TYPES, Event
from mltrail_core.ids import CONTROL, Partition, ProducerId
from mltrail_core.record import (
    Actor,
    Attestation,
    Record,
    attest,
    decode_record,
    freeze_record,
    identity_hash,
    leaf_hash,
)

GOLDEN_PATH = Path(__file__).parent / "golden" / "records_v1.json"
EXAMPLE_US = 1_700_000_000_123_456


def golden_salts() -> Iterator[bytes]:
    """Yield the salts of golden records: 16 × 01, 16 × 02, …"""
    for n in range(1, 256):
        yield bytes([n]) * 16


def read_golden() -> list[dict[str, Any]]:
    """Return what the golden file holds."""
    entries: list[dict[str, Any]] = json.loads(GOLDEN_PATH.read_text()) if GOLDEN_PATH.exists() else []
    return entries


def golden_of(name: str, record: Record) -> dict[str, Any]:
    """Return the golden entry of a record."""
    frozen = freeze_record(dataclasses.replace(record, attestation=None), salts=golden_salts())
    if record.attestation is not None:
        frozen = attest(frozen, record.attestation)
    return {
        "name": name,
        "identity_hash": identity_hash(frozen).hex(),
        "leaf_hash": leaf_hash(frozen).hex(),
        "record": as_json(decode_record(frozen)),
        "frozen_base64": base64.b64encode(frozen).decode(),
    }


def as_json(value: object) -> Any:
    """Return records, events and their fields as JSON has them; an event names its wire name."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = {"event": type(value).WIRE_NAME} if isinstance(value, EVENT_TYPES) else {}
        return named | {field.name: as_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [as_json(item) for item in value]
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    return value


def full_name(event_type: type[Event]) -> str:
    """Return the name of the golden record in which every field that the event has today is set."""
    return f"{event_type.WIRE_NAME}({', '.join(field.name for field in dataclasses.fields(event_type))})"


def example(event_type: type[Event], *, with_defaults: bool) -> Event:
    """Return an event whose every field, or every field without a default, has a value of its own."""
    hints = get_type_hints(event_type, include_extras=True)
    fields = [f for f in dataclasses.fields(event_type) if with_defaults or f.default is dataclasses.MISSING]
    return event_type(**{field.name: _value(field.name, hints[field.name]) for field in fields})


def _value(name: str, hint: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is int:
        return EXAMPLE_US if name.endswith("_us") else -len(name)
    if hint is str or origin is Annotated:
        return f"{name} ≠ ∅"
    if hint is bytes:
        return name.encode() + b"\x00\xff"
    if origin is tuple and arguments[-1] is Ellipsis:
        return (_value(f"{name} one", arguments[0]), _value(f"{name} two", arguments[0]))
    if origin is tuple:
        return tuple(_value(f"{name} {n}", argument) for n, argument in enumerate(arguments))
    return _value(name, arguments[0])  # of "X or None", X


def _examples() -> Iterator[tuple[str, Record]]:
    def record(*events: Event, **more: Any) -> Record:
        return Record(Partition("07"), ProducerId("5eed" * 6), 42, Actor("ann"), events, **more)

    for event_type in EVENT_TYPES:
        yield f"{event_type.WIRE_NAME}: least", record(example(event_type, with_defaults=False))
        yield full_name(event_type), record(example(event_type, with_defaults=True))
    two = (example(EVENT_TYPES[0], with_defaults=True), example(EVENT_TYPES[-1], with_defaults=True))
    yield "record: no events", record()
    yield "record: attested", record(*two, attestation=Attestation("token", "t-1"))
    yield (
        "record: verified, another workspace",
        Record(CONTROL, ProducerId("x"), 2**53 - 1, Actor("søren", "verified"), two, workspace="team/ø"),
    )


def write_missing() -> list[str]:
    """Add the golden records that the file lacks, and return their names."""
    entries = read_golden()
    known = {entry["name"] for entry in entries}
    added = [golden_of(name, record) for name, record in _examples() if name not in known]
    if added:
        text = json.dumps(entries + added, indent=1, ensure_ascii=False)
        GOLDEN_PATH.write_text(text + "\n")
    return [entry["name"] for entry in added]


if __name__ == "__main__":
    for added_name in write_missing():
        print("added", added_name)
