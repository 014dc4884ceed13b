"""Who the fold says sent a record: the one whose token a server saw, whatever the record calls itself."""

from __future__ import annotations

from mltrail_core.events import Event, ExperimentCreated, RunCreated, TokenCreated, TokenRevoked
from mltrail_core.ids import CONTROL, Partition, ProducerId, partition_of
from mltrail_core.log import LogEntry
from mltrail_core.readmodel import tables
from mltrail_core.record import Actor, Attestation, Record, attest, freeze_record
from mltrail_projector.entries import decode_entry, fold_entry
from mltrail_projector.fold import Fold
from mltrail_projector.rows import Row, Rows
from tests.projector.producing import RUN

TOKEN = "0123456789abcdef"
BY_TOKEN = Attestation("token", TOKEN)


def _folded(partition: Partition, *records: tuple[Event, Attestation | None]) -> Rows:
    fold = Fold.over(Rows(None))
    for index, (event, attestation) in enumerate(records, start=1):
        frozen = freeze_record(Record(partition, ProducerId("p"), index, Actor("mallory"), (event,)))
        if attestation is not None:
            frozen = attest(frozen, attestation)
        fold_entry(fold, decode_entry(LogEntry(partition, index, 1_000 + index, frozen)))
    return fold.rows


def _sender(row: Row | None) -> tuple[object, object]:
    assert row is not None
    return row["actor"], row["actor_known"]


def test_control_names_the_user_of_the_token_also_after_it_is_revoked() -> None:
    rows = _folded(
        CONTROL,
        (TokenCreated(1, TOKEN, "ann", "ab" * 32), None),
        (TokenRevoked(2, TOKEN), None),
        (ExperimentCreated(3, "1", "iris"), BY_TOKEN),
    )
    assert _sender(rows.get(tables.experiments, "1")) == ("ann", "verified")
    assert _sender(rows.get(tables.tokens, TOKEN)) == ("mallory", "claimed")


def test_a_run_names_the_token_whose_user_readers_look_up() -> None:
    rows = _folded(partition_of(RUN), (RunCreated(1, RUN, "0", "r", "mallory", 1), BY_TOKEN))
    assert _sender(rows.get(tables.runs, RUN)) == (f"token:{TOKEN}", "verified")


def test_a_token_that_nobody_created_and_an_unknown_kind_of_word_verify_nothing() -> None:
    rows = _folded(
        CONTROL,
        (ExperimentCreated(1, "1", "iris"), BY_TOKEN),
        (ExperimentCreated(2, "2", "wine"), Attestation("horoscope", TOKEN)),
    )
    assert _sender(rows.get(tables.experiments, "1")) == ("mallory", "claimed")
    assert _sender(rows.get(tables.experiments, "2")) == ("mallory", "claimed")


def test_a_token_is_created_once_and_its_revocation_keeps_its_first_time() -> None:
    rows = _folded(
        CONTROL,
        (TokenCreated(1, TOKEN, "ann", "ab" * 32), None),
        (TokenRevoked(2, TOKEN), None),
        (TokenCreated(3, TOKEN, "bob", "cd" * 32), None),
        (TokenRevoked(4, TOKEN), None),
    )
    token = rows.get(tables.tokens, TOKEN)
    assert token is not None
    assert (token["user"], token["revoked_us"]) == ("ann", 1_002)
    rejected = rows.get(tables.rejections, CONTROL, 3, 0)
    assert rejected is not None
    assert (rejected["reason"], rejected["subject"]) == ("already_exists", TOKEN)
