"""The record of one point that is written straight to bytes is the one that the codec writes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrail_core.errors import Invalid
from mltrail_core.ids import PARTITIONS, Partition, ProducerId
from mltrail_core.metric_block import MetricPoint, event_of_points
from mltrail_core.record import Actor, Record, SinglePoint, decode_record, freeze_point, freeze_record

SALT = bytes(range(16))
_INT64 = st.integers(-(2**63), 2**63 - 1)
_NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=300)
POINT = SinglePoint("a" * 32, 1_700_000_000_000_000, "loss", 0.5, 3, 1_700_000_000_000_000)
HEADER = (Partition("03"), ProducerId("p"), 1, Actor("ann"))


def by_codec(partition: Partition, producer: ProducerId, sequence: int, actor: Actor, point: SinglePoint) -> bytes:
    points = (MetricPoint(point.key, point.value, point.step, point.time_us),)
    event = event_of_points(point.run_id, point.occurred_us, points)
    return freeze_record(Record(partition, producer, sequence, actor, (event,)), salts=iter([SALT]))


@given(
    st.sampled_from(PARTITIONS),
    st.builds(ProducerId, _NAMES.map(lambda name: name[:64])),
    st.integers(1, 2**53 - 1),
    st.builds(Actor, _NAMES | st.just(""), st.sampled_from(["claimed", "verified"])),
    st.builds(SinglePoint, _NAMES, _INT64, _NAMES, st.floats(), _INT64, _INT64),
)
@settings(max_examples=100, deadline=None)
def test_its_bytes_are_those_of_the_codec(
    partition: Partition, producer: ProducerId, sequence: int, actor: Actor, point: SinglePoint
) -> None:
    frozen = freeze_point(partition, producer, sequence, actor, point, salt=SALT)
    assert frozen == by_codec(partition, producer, sequence, actor, point)


def test_each_has_a_salt_of_its_own() -> None:
    one, other = freeze_point(*HEADER, POINT), freeze_point(*HEADER, POINT)
    assert one != other
    assert decode_record(one) == decode_record(other)


@pytest.mark.parametrize(
    "point",
    [
        POINT._replace(step=2**63),
        POINT._replace(time_us=-(2**63) - 1),
        POINT._replace(occurred_us=2**63),
        POINT._replace(key="nul \0"),
        POINT._replace(run_id="\ud800"),
        POINT._replace(key="x" * (9 << 20)),
    ],
)
def test_what_the_codec_refuses_is_refused(point: SinglePoint) -> None:
    with pytest.raises(Invalid):
        freeze_point(*HEADER, point)
    if point.step != 2**63 and point.time_us > -(2**63):  # those `event_of_points` can't even pack
        with pytest.raises(Invalid):
            by_codec(*HEADER, point)


def test_a_header_that_no_reader_takes_is_refused() -> None:
    partition, producer, sequence, actor = HEADER
    for bad in (
        (Partition("16"), producer, sequence, actor),
        (partition, ProducerId(""), sequence, actor),
        (partition, producer, 0, actor),
        (partition, producer, 2**53, actor),
        (partition, producer, sequence, replace(actor, name="nul \0")),
    ):
        with pytest.raises(Invalid):
            freeze_point(*bad, POINT)
