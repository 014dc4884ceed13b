"""Bytes that were frozen once decode to the same events for ever."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from mltrail_core.events import EVENT_TYPES
from mltrail_core.record import attest, decode_record, freeze_record, identity_hash, leaf_hash
from tests.core.golden_records import as_json, full_name, golden_salts, read_golden

GOLDEN = read_golden()


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: str(golden["name"]))
def test_a_golden_record_decodes_and_refreezes_as_it_did(golden: dict[str, Any]) -> None:
    frozen = base64.b64decode(golden["frozen_base64"])
    record = decode_record(frozen)
    shown = as_json(record)
    for event, was in zip(shown["events"], golden["record"]["events"], strict=True):
        # A field that an event gained since then has its default; those it had are as they were.
        assert {name: event[name] for name in was} == was
    assert {**shown, "events": None} == {**golden["record"], "events": None}
    assert identity_hash(frozen).hex() == golden["identity_hash"]
    assert leaf_hash(frozen).hex() == golden["leaf_hash"]
    refrozen = freeze_record(record, salts=golden_salts())
    assert refrozen == frozen
    if record.attestation is not None:
        assert attest(refrozen, record.attestation) == frozen


@pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda event_type: event_type.WIRE_NAME)
def test_every_event_has_a_golden_record_with_all_its_fields(event_type: type) -> None:
    names = {golden["name"] for golden in GOLDEN}
    assert full_name(event_type) in names, "run: python -m tests.core.golden_records"
