"""Records round-trip, keep their hashes, and no bytes whatever do more to a reader than `Invalid`."""

from __future__ import annotations

import contextlib
import dataclasses
import random
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import example as with_example
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrail_core.errors import Invalid
from mltrail_core.events import BY_WIRE_NAME, EVENT_TYPES, Event, ParamLogged, RunDeleted
from mltrail_core.events.text import ERASED
from mltrail_core.ids import CONTROL, Partition, ProducerId
from mltrail_core.record import (
    MAX_RECORD_BYTES,
    Actor,
    Attestation,
    FrozenRecord,
    Record,
    attest,
    decode_record,
    freeze_record,
    identity_hash,
    leaf_hash,
)
from tests.core.golden_records import example
from tests.core.record_strategies import MSGPACK_VALUES, RECORDS
from tests.thorough import examples

UNHURRIED = settings(deadline=None, max_examples=examples(40, 100))
"""Other tests share the processors, so no single example has a time limit."""
PREFIX = b"MLT\x01"
READERS: list[Callable[[bytes], object]] = [
    decode_record,
    identity_hash,
    leaf_hash,
    lambda frozen: attest(FrozenRecord(frozen), Attestation("token", "t")),
]
DETACH: list[tuple[bytes, str]] = [(b"s" * 16, "ann"), (b"t" * 16, "0.1")]


def record_of(*events: Event, **more: Any) -> Record:
    return Record(Partition("03"), ProducerId("p"), 1, Actor("ann"), events, **more)


def parts(frozen: bytes) -> tuple[list[Any], list[Any], Any]:
    """Return body, detached part and attestation as msgpack gives them."""
    body, detached, attestation = msgpack.unpackb(frozen[4:])
    return msgpack.unpackb(body), msgpack.unpackb(detached), attestation


def framed(body: object, detached: object, attestation: object = None) -> bytes:
    return PREFIX + bytes(msgpack.packb([msgpack.packb(body), msgpack.packb(detached), attestation]))


def only_invalid(data: bytes) -> None:
    """Give the bytes to every reader; anything that is raised and not Invalid fails the test."""
    for read in READERS:
        with contextlib.suppress(Invalid):
            read(data)


@UNHURRIED
@given(RECORDS)
def test_a_record_comes_back_as_it_was_frozen(record: Record) -> None:
    assert decode_record(freeze_record(record)) == record


@UNHURRIED
@given(RECORDS)
def test_fresh_salts_give_another_identity_and_the_same_record(record: Record) -> None:
    one, two = freeze_record(record), freeze_record(record)
    assert identity_hash(one) != identity_hash(two)
    assert decode_record(one) == decode_record(two)


@UNHURRIED
@given(RECORDS, st.builds(Attestation, st.text("abc"), st.text("abc")))
def test_attesting_keeps_the_identity_and_changes_the_leaf(record: Record, attestation: Attestation) -> None:
    bare = freeze_record(dataclasses.replace(record, attestation=None))
    attested = attest(bare, attestation)
    assert identity_hash(attested) == identity_hash(bare)
    assert leaf_hash(attested) != leaf_hash(bare)
    assert decode_record(attested) == dataclasses.replace(record, attestation=attestation)
    assert attest(attested, attestation) == attested


@UNHURRIED
@given(RECORDS, st.randoms(use_true_random=False))
def test_erasing_texts_keeps_both_hashes_and_shows_as_erased(record: Record, choice: random.Random) -> None:
    frozen = freeze_record(record)
    body, detached, attestation = msgpack.unpackb(frozen[4:])
    texts = msgpack.unpackb(detached)
    erased_at = {n for n in range(len(texts)) if choice.random() < 0.5}
    erased = PREFIX + msgpack.packb(
        [body, msgpack.packb([None if n in erased_at else text for n, text in enumerate(texts)]), attestation]
    )
    assert identity_hash(erased) == identity_hash(frozen)
    assert leaf_hash(erased) == leaf_hash(frozen)
    shown = iter([ERASED if n in erased_at else text for n, (_, text) in enumerate(texts)])
    expected_actor = next(shown)
    assert decode_record(erased).actor.name == expected_actor
    # Refreezing what is shown detaches exactly the texts that are left and the marks, in order.
    again = msgpack.unpackb(msgpack.unpackb(freeze_record(decode_record(erased))[4:])[1])
    assert [text for _, text in again][1:] == list(shown)


def test_no_text_that_may_be_asked_to_be_erased_is_in_the_hashed_part() -> None:
    frozen = freeze_record(record_of(ParamLogged(1, "r" * 32, "key", "a secret value")))
    body, detached, _ = msgpack.unpackb(frozen[4:])
    assert b"a secret value" in detached
    assert b"ann" in detached
    assert b"a secret value" not in body
    assert b"ann" not in body


@pytest.mark.parametrize(
    ("detached", "said"),
    [
        ([(b"s" * 16, "eve"), DETACH[1]], "does not match its hash"),
        ([(b"x" * 16, "ann"), DETACH[1]], "does not match its hash"),
        (DETACH[::-1], "does not match its hash"),
        (DETACH[:1], "lacks a text"),
        ([*DETACH, (b"u" * 16, "more")], "more texts than"),
        ([*DETACH, None], "more texts than"),
        ([(b"s" * 16, b"ann"), DETACH[1]], "not \\[salt, text\\]"),
        ([("s" * 16, "ann"), DETACH[1]], "not \\[salt, text\\]"),
        ([(b"s" * 16, "ann", 1), DETACH[1]], "not \\[salt, text\\]"),
        ([False, DETACH[1]], "not \\[salt, text\\]"),
        ({"a": 1}, "not a list"),
        (None, "not a list"),
    ],
)
def test_a_detached_part_that_is_not_the_bodys_is_refused(detached: object, said: str) -> None:
    frozen = freeze_record(record_of(ParamLogged(1, "r" * 32, "key", "0.1")), salts=iter([salt for salt, _ in DETACH]))
    body, was_detached, _ = parts(frozen)
    assert decode_record(framed(body, was_detached)) == decode_record(frozen)
    with pytest.raises(Invalid, match=said):
        decode_record(framed(body, detached))


@UNHURRIED
@given(st.binary(max_size=200))
@with_example(b"")
@with_example(PREFIX)
@with_example(PREFIX + b"\x91" * 100_000)  # nested far deeper than any reader's stack
@with_example(PREFIX + b"\xdd\xff\xff\xff\xff")  # claims 4 billion items
@with_example(PREFIX + b"\xc6\xff\xff\xff\xff")  # claims 4 GB
@with_example(PREFIX + b"\xd6\xff\x00\x00\x00\x00")  # a timestamp
@with_example(PREFIX + b"\x81\x90\x01")  # a list as a key
@with_example(PREFIX + b"\xa1\xff")  # not UTF-8
@with_example(b"MLT\x02\x90")
def test_arbitrary_bytes_are_invalid_at_worst(data: bytes) -> None:
    only_invalid(data)
    only_invalid(PREFIX + data)


@UNHURRIED
@given(RECORDS, st.data())
def test_a_truncated_record_is_invalid(record: Record, data: st.DataObject) -> None:
    frozen = freeze_record(record)
    with pytest.raises(Invalid):
        decode_record(frozen[: data.draw(st.integers(0, len(frozen) - 1))])


@UNHURRIED
@given(RECORDS, st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(1, 255)), min_size=1, max_size=4))
def test_flipped_bits_are_invalid_at_worst(record: Record, flips: list[tuple[int, int]]) -> None:
    frozen = bytearray(freeze_record(record))
    for place, mask in flips:
        frozen[place % len(frozen)] ^= mask
    only_invalid(bytes(frozen))
    # Also within the body, which is one byte string to the outer msgpack.
    body, detached, attestation = msgpack.unpackb(freeze_record(record)[4:])
    changed = bytearray(body)
    for place, mask in flips:
        changed[place % len(changed)] ^= mask
    only_invalid(PREFIX + msgpack.packb([bytes(changed), detached, attestation]))


@UNHURRIED
@given(RECORDS, MSGPACK_VALUES, st.data())
def test_any_value_in_any_place_is_invalid_at_worst(record: Record, value: object, data: st.DataObject) -> None:
    body, detached, attestation = parts(freeze_record(record))
    places: list[tuple[Any, Any]] = [(body, n) for n in range(7)] + [(detached, n) for n in range(len(detached))]
    for event in body[6]:
        places += [(event, 0), (event, 1), *((event[1], name) for name in event[1])]
        places += [(item, n) for item in event[1].values() if isinstance(item, list) for n in range(len(item))]
    holder, place = data.draw(st.sampled_from(places))
    holder[place] = value
    only_invalid(framed(body, detached, attestation))
    only_invalid(framed(body, detached, value))
    only_invalid(framed(value, detached))
    only_invalid(framed(body, value))
    only_invalid(PREFIX + msgpack.packb(value))


@pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda event_type: event_type.WIRE_NAME)
def test_every_field_of_every_event_refuses_another_type(event_type: type[Event]) -> None:
    body, detached, _ = parts(freeze_record(record_of(example(event_type, with_defaults=True))))
    fields = body[6][0][1]
    assert set(fields) == {field.name for field in dataclasses.fields(event_type)}
    for name, right in fields.items():
        wrong: list[Any] = [True, 1.5, {}, {"a": 1}, 2**63, msgpack.ExtType(5, b"x"), msgpack.ExtType(1, b"short")]
        wrong += [each for each in (1, "text", b"bytes", [7], [[7, 7]]) if type(each) is not type(right)]
        for each in wrong:
            fields[name] = each
            with pytest.raises(Invalid):
                decode_record(framed(body, detached))
        fields[name] = right
    fields["unheard_of"] = 1
    with pytest.raises(Invalid, match="unheard_of"):
        decode_record(framed(body, detached))


@pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda event_type: event_type.WIRE_NAME)
def test_a_field_without_a_default_is_missed(event_type: type[Event]) -> None:
    body, detached, _ = parts(freeze_record(record_of(example(event_type, with_defaults=False))))
    fields = body[6][0][1]
    for name in list(fields):
        without = {other: value for other, value in fields.items() if other != name}
        body[6][0][1] = without
        with pytest.raises(Invalid, match=f"{event_type.WIRE_NAME}: field '{name}' is missing"):
            decode_record(framed(body, detached))


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (0, 5, "workspace"),
        (1, "16", "partition '16'"),
        (1, ["00"], "partition"),
        (2, "", "producer"),
        (2, "p" * 65, "producer"),
        (2, 7, "producer"),
        (3, 0, "sequence is 0"),
        (3, True, "sequence is True"),
        (3, 2**53, "sequence"),
        (3, 1.0, "sequence"),
        (4, "ann", "free text"),
        (5, "rumoured", "rumoured"),
        (5, ["claimed"], "known"),
        (6, {}, "events"),
        (6, [["no_such_event", {}]], "no_such_event"),
        (6, [["run_deleted"]], "not \\[wire name, fields\\]"),
        (6, [[["run_deleted"], {}]], "not \\[wire name, fields\\]"),
    ],
)
def test_each_part_of_the_header_is_checked_and_named(place: int, value: object, said: str) -> None:
    body, detached, _ = parts(freeze_record(record_of()))
    body[place] = value
    with pytest.raises(Invalid, match=said):
        decode_record(framed(body, detached))


@pytest.mark.parametrize(
    ("frozen", "said"),
    [
        (b"", "begin with 'MLT'"),
        (b"MLT", "version none"),
        (b"MLT\x07\x90", "version 07"),
        (PREFIX + b"\x90", "not \\[body, detached, attestation\\]"),
        (framed([], [], ["token"]), "attestation"),
        (framed([], [], "token"), "attestation"),
        (PREFIX + b"\x00" * MAX_RECORD_BYTES, "over the limit"),
    ],
)
def test_the_frame_is_checked_and_named(frozen: bytes, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        decode_record(frozen)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (record_of(RunDeleted(2**63, "r")), "beyond 64 bits"),
        (record_of(RunDeleted(-(2**63) - 1, "r")), "beyond 64 bits"),
        (record_of(RunDeleted(1, "\ud800")), "surrogates"),
        (record_of(ParamLogged(1, "r", "k", "\ud800")), "surrogates"),
        (record_of(RunDeleted(1, "r\0")), "NUL"),
        (record_of(ParamLogged(1, "r", "k", "v\0")), "NUL"),
        (record_of(ParamLogged(1, "r", "k", "v" * MAX_RECORD_BYTES)), "send fewer events"),
        (Record(Partition("16"), ProducerId("p"), 1, Actor("a"), ()), "partition '16'"),
        (Record(CONTROL, ProducerId(""), 1, Actor("a"), ()), "producer"),
        (Record(CONTROL, ProducerId("p"), 0, Actor("a"), ()), "sequence"),
    ],
)
def test_what_no_reader_would_take_is_not_frozen(record: Record, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        freeze_record(record)


def test_attesting_does_not_make_a_record_that_no_reader_takes() -> None:
    overhead = len(freeze_record(record_of(ParamLogged(1, "r", "k", "v" * 100_000)))) - 100_000
    largest = freeze_record(record_of(ParamLogged(1, "r", "k", "v" * (MAX_RECORD_BYTES - overhead))))
    assert len(largest) == MAX_RECORD_BYTES
    decode_record(largest)
    with pytest.raises(Invalid, match="over the limit"):
        attest(largest, Attestation("token", "t-1"))


def test_every_event_has_its_own_wire_name_in_the_past_tense() -> None:
    assert len(BY_WIRE_NAME) == len(EVENT_TYPES)
    assert all(name.split("_")[-1].endswith(("ed", "set", "began", "lost")) for name in BY_WIRE_NAME)
