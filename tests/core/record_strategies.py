"""Hypothesis strategies for records, made from the events' own type hints."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from mltrail_core.events import EVENT_TYPES, Event
from mltrail_core.ids import PARTITIONS, ProducerId
from mltrail_core.record import Actor, Attestation, Record

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
INTEGERS = st.integers(-(2**63), 2**63 - 1)


def _values(hint: Any) -> st.SearchStrategy[Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is int:
        return INTEGERS
    if hint is str or origin is Annotated:
        return TEXTS
    if hint is bytes:
        return st.binary(max_size=64)
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(_values(arguments[0]), max_size=4).map(tuple)
    if origin is tuple:
        return st.tuples(*(_values(argument) for argument in arguments))
    return st.none() | _values(arguments[0])


def _events_of(event_type: type[Event]) -> st.SearchStrategy[Event]:
    hints = get_type_hints(event_type, include_extras=True)
    values = {field.name: _values(hints[field.name]) for field in dataclasses.fields(event_type)}
    return st.builds(event_type, **values)


EVENTS: st.SearchStrategy[Event] = st.one_of([_events_of(event_type) for event_type in EVENT_TYPES])
RECORDS = st.builds(
    Record,
    partition=st.sampled_from(PARTITIONS),
    producer=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=64).map(ProducerId),
    sequence=st.integers(1, 2**53 - 1),
    actor=st.builds(Actor, TEXTS, st.sampled_from(["claimed", "verified"])),
    events=st.lists(EVENTS, max_size=5).map(tuple),
    workspace=TEXTS,
    attestation=st.none() | st.builds(Attestation, TEXTS, TEXTS),
)

MSGPACK_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | TEXTS | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS | st.binary(max_size=5), inner, max_size=4),
    max_leaves=20,
)
"""Anything that msgpack can write, save for ext types."""
