"""The decisions of the fold, pinned: the same bytes give the same rows and rejections for ever.

`golden/decisions_v1.json` holds frozen records and what came of them. A rule of a released format never changes; a new
event or case is added by `python -m tests.projector.test_golden_decisions`, which refuses to change what stands there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from mltrail_core.events import (
    BY_WIRE_NAME,
    AliasDeleted,
    AliasSet,
    ArtifactDeleted,
    ArtifactStored,
    ArtifactUploadAbandoned,
    ArtifactUploadBegan,
    ArtifactUploaded,
    ArtifactVerified,
    DatasetInputLogged,
    Event,
    ExperimentCreated,
    ExperimentDeleted,
    ExperimentEnsured,
    ExperimentRenamed,
    ExperimentRestored,
    ExperimentTagDeleted,
    ExperimentTagSet,
    LoggedModelCreated,
    LoggedModelDeleted,
    LoggedModelFinalized,
    LoggedModelParamLogged,
    LoggedModelTagDeleted,
    LoggedModelTagSet,
    ModelInputLogged,
    ModelOutputLogged,
    ModelVersionCreated,
    ModelVersionDeleted,
    ModelVersionDescribed,
    ModelVersionTagDeleted,
    ModelVersionTagSet,
    ParamLogged,
    ProducerClosed,
    ProducerOpened,
    RegisteredModelCreated,
    RegisteredModelDeleted,
    RegisteredModelDescribed,
    RegisteredModelEnsured,
    RegisteredModelRenamed,
    RegisteredModelTagDeleted,
    RegisteredModelTagSet,
    RunCreated,
    RunDeleted,
    RunLost,
    RunRenamed,
    RunRestored,
    RunReturned,
    RunStatusChanged,
    StageChanged,
    TagDeleted,
    TagSet,
    TokenCreated,
    TokenRevoked,
    WebhookCreated,
    WebhookDeleted,
    WebhookDeliveryAttempted,
    WebhookRedeliveryRequested,
    WebhookUpdated,
)
from mltrail_core.ids import CONTROL, Partition, ProducerId, partition_of
from mltrail_core.log import LogEntry
from mltrail_core.readmodel import tables
from mltrail_core.record import Actor, FrozenRecord, Record, decode_record, freeze_record
from mltrail_core.webhook_rules import STAGE_CHANGED, WEBHOOK_EVENTS, delivery_id_of
from mltrail_projector.entries import decode_entry, fold_entry
from mltrail_projector.fold import Fold
from mltrail_projector.rows import Rows, Value
from tests.projector.producing import RUN, metrics

GOLDEN = Path(__file__).parent / "golden" / "decisions_v1.json"
MODEL = "m-0123456789abcdef0123456789abcdef"
UPLOAD, OTHER_UPLOAD, HASH = "0" * 31 + "a", "0" * 31 + "b", "ab" * 32
HOOK, OTHER_HOOK = "7d9c3c1e-0000-4000-8000-000000000001", "7d9c3c1e-0000-4000-8000-000000000002"
HOOK_URL = "https://example.com/hook"
PROMPT = (("mlflow.prompt.is_prompt", "true"), ("mlflow.prompt.text", "Hi {{name}}"), ("team", "nlp"))


def _attempt(number: int, turn: int, outcome: str, code: int | None, retry_us: int | None = None) -> Event:
    delivery_id = delivery_id_of(HOOK, 2, number, 0)
    error = None if code else "no answer"
    return WebhookDeliveryAttempted(50, HOOK, delivery_id, turn, 12, outcome, code, error, retry_us)


CASES: dict[str, tuple[Partition, list[tuple[Event, ...]]]] = {
    "experiments": (
        CONTROL,
        [
            (ExperimentCreated(1, "0", "Default"), ExperimentCreated(2, "1", "iris", "s3://elsewhere/iris")),
            (ExperimentCreated(3, "2", "iris"), ExperimentCreated(4, "1", "wine"), ExperimentCreated(5, "3", "")),
            (ExperimentEnsured(6, "4", "iris"), ExperimentEnsured(7, "5", "wine"), ExperimentEnsured(8, "4", "wine")),
            (ExperimentRenamed(9, "1", "flowers"), ExperimentRenamed(10, "1", "wine"), ExperimentRenamed(11, "9", "x")),
            (
                ExperimentTagSet(12, "1", "a", "b"),
                ExperimentTagSet(13, "1", "a", "c"),
                ExperimentTagSet(14, "1", "", "c"),
            ),
            (ExperimentTagDeleted(15, "1", "a"), ExperimentTagDeleted(16, "1", "a")),
            (ExperimentDeleted(17, "5"), ExperimentDeleted(18, "5"), ExperimentTagSet(19, "5", "a", "b")),
            (ExperimentRestored(20, "5"), ExperimentRestored(21, "5")),
        ],
    ),
    "runs": (
        partition_of(RUN),
        [
            (ProducerOpened(1, RUN, "host", 7, 2), RunCreated(2, RUN, "1", "first", "ann", 2000)),
            (RunCreated(3, RUN, "1", "again", "bob", 3000), RunRenamed(4, RUN, "second")),
            (ParamLogged(5, RUN, "lr", "0.1"), ParamLogged(6, RUN, "lr", "0.1"), ParamLogged(7, RUN, "lr", "0.2")),
            (
                ParamLogged(8, RUN, "x" * 251, "1"),
                ParamLogged(9, RUN, "long", "v" * 6001),
                ParamLogged(9, RUN, "../a", ""),
            ),
            (TagSet(10, RUN, "a", "b"), TagSet(11, RUN, "a", "c"), TagDeleted(12, RUN, "a"), TagDeleted(13, RUN, "a")),
            (TagSet(14, RUN, "mlflow.runName", "third"), TagSet(15, RUN, "big", "v" * 8001)),
            (
                metrics(RUN, "loss", 2.0, float("nan"), 1.0),
                metrics(RUN, "bad\nkey", 1.0),
                metrics("f" * 32, "loss", 1.0),
            ),
            (metrics(RUN, "loss", 9.0, float("-inf"), first_step=-1), RunStatusChanged(16, RUN, "SLEEPING")),
            (DatasetInputLogged(17, RUN, "iris", "d1", "local", "{}", tags=(("context", "training"),)),),
            (ModelInputLogged(18, RUN, MODEL), ModelOutputLogged(19, RUN, MODEL, 3)),
            (ArtifactStored(20, RUN, "a/b", 3, "ab" * 32), ArtifactStored(21, RUN, "/etc", 3, "ab" * 32)),
            (ArtifactStored(22, RUN, "a/c", 3, "nothex"), ArtifactDeleted(23, RUN, "a"), ArtifactDeleted(24, RUN, "a")),
            (RunDeleted(25, RUN), RunDeleted(26, RUN), ParamLogged(27, RUN, "late", "1"), metrics(RUN, "late", 1.0)),
            (RunRestored(28, RUN), RunStatusChanged(29, RUN, "FINISHED", 9000), ProducerClosed(30, 15)),
            (ProducerClosed(31, 16),),
        ],
    ),
    "runs: a dataset said again": (
        partition_of(RUN),
        [
            (RunCreated(1, RUN, "1", "first", "ann", 1000),),
            (DatasetInputLogged(2, RUN, "iris", "d1", "local", "{}", tags=(("mlflow.data.context", "training"),)),),
            (
                DatasetInputLogged(3, RUN, "iris", "d1", "local", "{}", "[]", tags=(("mlflow.data.context", "eval"),)),
                DatasetInputLogged(4, RUN, "iris", "d2", "local", "{}"),
            ),
        ],
    ),
    "uploads past the server": (
        partition_of(RUN),
        [
            (ArtifactStored(1, RUN, "m", 3, "cd" * 32), ArtifactUploadBegan(2, RUN, "m", UPLOAD, "multipart", 99)),
            (
                ArtifactUploadBegan(3, RUN, "m", UPLOAD, "multipart", 99),
                ArtifactUploadBegan(4, RUN, "../m", OTHER_UPLOAD, "multipart", 99),
                ArtifactUploadBegan(5, RUN, "m", "short", "put", 99),
                ArtifactUploadBegan(5, RUN, "m", OTHER_UPLOAD, "pigeon", 99),
                ArtifactVerified(6, RUN, "m", UPLOAD, 5, HASH),
                ArtifactUploaded(7, RUN, "m", OTHER_UPLOAD, 5, '"e"'),
                ArtifactUploaded(8, RUN, "m", UPLOAD, -1, '"e"'),
            ),
            (ArtifactUploaded(9, RUN, "m", UPLOAD, 5, '"e"', "text/plain"),),
            (ArtifactUploaded(10, RUN, "m", UPLOAD, 5, '"e"'), ArtifactUploadAbandoned(11, RUN, "m", UPLOAD)),
            (ArtifactVerified(12, RUN, "m", UPLOAD, 6, HASH), ArtifactVerified(13, RUN, "m", UPLOAD, 5, "nothex")),
            (ArtifactVerified(14, RUN, "m", UPLOAD, 5, HASH), ArtifactVerified(15, RUN, "m", UPLOAD, 5, HASH)),
            (ArtifactVerified(16, RUN, "m", UPLOAD, 5, "cd" * 32), ArtifactUploaded(17, RUN, "m", UPLOAD, 9, '"f"')),
        ],
    ),
    "uploads abandoned, replaced and overwritten": (
        partition_of(RUN),
        [
            (
                ArtifactUploadBegan(1, RUN, "d/a", UPLOAD, "multipart", 99),
                ArtifactUploadAbandoned(2, RUN, "d/a", UPLOAD),
            ),
            (ArtifactUploadAbandoned(3, RUN, "d/a", UPLOAD), ArtifactUploaded(4, RUN, "d/a", UPLOAD, 5, '"e"')),
            (ArtifactUploadAbandoned(5, RUN, "d/b", UPLOAD), ArtifactUploadBegan(6, RUN, "d/b", UPLOAD, "put", 99)),
            (ArtifactUploaded(7, RUN, "d/b", UPLOAD, 5, '"e"'), ArtifactUploaded(8, RUN, "d/b", UPLOAD, 6, '"f"')),
            (ArtifactStored(9, RUN, "d/b", 3, "cd" * 32), ArtifactUploaded(10, RUN, "d/b", UPLOAD, 7, '"g"')),
            (ArtifactVerified(11, RUN, "d/b", UPLOAD, 7, HASH),),
            (
                ArtifactUploadBegan(12, RUN, "d/c", OTHER_UPLOAD, "multipart", 99),
                ArtifactUploaded(13, RUN, "d/c", OTHER_UPLOAD, 1, '"e"'),
                ArtifactDeleted(14, RUN, "d"),
                ArtifactVerified(15, RUN, "d/c", OTHER_UPLOAD, 1, HASH),
            ),
        ],
    ),
    "runs whose writers came before them": (
        partition_of(RUN),
        [
            (metrics(RUN, "loss", 1.0), ParamLogged(1, RUN, "lr", "0.1"), TagSet(2, RUN, "kept", "a")),
            (TagSet(3, RUN, "gone", "a"), TagDeleted(4, RUN, "gone"), ParamLogged(5, RUN, "../bad", "1")),
            (RunCreated(6, RUN, "1", "first", "ann", 1000), RunCreated(7, RUN, "2", "again", "ann", 1000)),
            (metrics(RUN, "acc"), metrics(RUN, "val/acc", 1.0), TagSet(8, RUN, "deleted", "a")),
            (TagDeleted(9, RUN, "deleted"), RunLost(10, RUN, 7_000_000, 120), RunStatusChanged(11, RUN, "FINISHED", 9)),
        ],
    ),
    "runs lost and returned": (
        partition_of(RUN),
        [
            (RunLost(1, RUN, 5_000_000, 120),),
            (RunCreated(2, RUN, "1", "first", "ann", 2000), RunReturned(3, RUN, 6_000_000)),
            (RunLost(4, RUN, -1, 120), RunLost(5, RUN, 253_402_300_800_000_000, 120), RunLost(6, RUN, 1, 1 << 31)),
            (RunLost(7, RUN, 7_000_000, 120), RunLost(8, RUN, 8_000_000, 60), RunReturned(9, RUN, 9_000_000)),
            (RunLost(10, RUN, 10_000_000, 120), RunStatusChanged(11, RUN, "RUNNING")),
            (RunDeleted(12, RUN), RunLost(13, RUN, 13_000_000, 120), RunRestored(14, RUN)),
            (RunStatusChanged(15, RUN, "FAILED", 9000), RunLost(16, RUN, 16_000_000, 120)),
            (RunStatusChanged(17, RUN, "RUNNING"), RunLost(18, RUN, 1_700_000_000_000_000, 120)),
        ],
    ),
    "models": (
        partition_of(MODEL),
        [
            (LoggedModelCreated(1, MODEL, "1", "model", "agent", RUN), LoggedModelCreated(2, MODEL, "1", "again")),
            (LoggedModelParamLogged(3, MODEL, "a", "1"), LoggedModelParamLogged(4, MODEL, "a", "2")),
            (LoggedModelTagSet(5, MODEL, "t", "1"), LoggedModelTagSet(6, "m-unknown", "t", "1")),
            (LoggedModelTagDeleted(7, MODEL, "t"), LoggedModelTagDeleted(8, MODEL, "t")),
            (LoggedModelFinalized(9, MODEL, "LOGGED_MODEL_READY"), LoggedModelFinalized(10, MODEL, "DONE")),
        ],
    ),
    "models deleted": (
        partition_of(MODEL),
        [
            (LoggedModelDeleted(1, MODEL), LoggedModelCreated(2, MODEL, "1", "model")),
            (LoggedModelDeleted(3, MODEL),),
            (LoggedModelDeleted(4, MODEL), LoggedModelTagSet(5, MODEL, "t", "1")),
        ],
    ),
    "registry": (
        CONTROL,
        [
            (RegisteredModelCreated(1, "iris", "text", (("a", "b"),)), RegisteredModelCreated(2, "iris")),
            (ModelVersionCreated(3, "iris", "models:/m-1", "mlflow-artifacts:/1", tags=(("k", "v"),)),),
            (ModelVersionCreated(4, "iris", "runs:/x/model", "mlflow-artifacts:/2", run_id=RUN, description="two"),),
            (ModelVersionCreated(5, "wine", "s", "s"), RegisteredModelCreated(6, "")),
        ],
    ),
    "registry: stages, aliases, tags, names": (
        CONTROL,
        [
            (RegisteredModelCreated(1, "iris", "text", (("a", "b"),)), RegisteredModelCreated(2, "a/b")),
            tuple(ModelVersionCreated(3, "iris", f"s{n}", f"s{n}", tags=(("k", "v"),)) for n in (1, 2, 3)),
            (StageChanged(4, "iris", 1, "Production"), StageChanged(5, "iris", 2, "Production", "Archived")),
            (
                StageChanged(6, "iris", 3, "canary 5%"),
                StageChanged(7, "iris", 3, "Canary", " "),
                StageChanged(8, "iris", 9, "x"),
            ),
            (
                StageChanged(9, "iris", 3, "Canary"),
                StageChanged(10, "wine", 1, "Staging"),
                StageChanged(11, "iris", 2**40, "x"),
            ),
            (
                AliasSet(12, "iris", "champion", 1),
                AliasSet(13, "iris", "champion", 2),
                AliasSet(14, "iris", "latest", 1),
            ),
            (
                AliasSet(15, "iris", "v1", 1),
                AliasSet(16, "iris", "a b", 1),
                AliasSet(17, "iris", "old", 7),
                AliasSet(18, "iris", "old", 1),
            ),
            (AliasDeleted(19, "iris", "nobody"), AliasDeleted(20, "wine", "x"), AliasDeleted(21, "iris", "old")),
            (RegisteredModelTagSet(22, "iris", "a", "c"), RegisteredModelTagSet(23, "iris", "../a", "c")),
            (
                RegisteredModelTagSet(24, "wine", "a", "c"),
                RegisteredModelTagDeleted(25, "iris", "a"),
                RegisteredModelTagDeleted(26, "iris", "a"),
            ),
            (
                ModelVersionTagSet(27, "iris", 1, "k", "w"),
                ModelVersionTagDeleted(28, "iris", 2, "k"),
                ModelVersionTagDeleted(29, "iris", 2, "k"),
            ),
            (ModelVersionTagSet(30, "iris", 1, "long", "v" * 100_001), ModelVersionTagSet(31, "iris", 8, "k", "w")),
            (
                RegisteredModelDescribed(32, "iris", "words"),
                RegisteredModelDescribed(33, "wine"),
                ModelVersionDescribed(34, "iris", 1, "one"),
            ),
            (
                ModelVersionDescribed(35, "iris", 1),
                ModelVersionDeleted(36, "iris", 2),
                ModelVersionDeleted(37, "iris", 2),
            ),
            (
                AliasSet(38, "iris", "champion", 2),
                AliasSet(39, "iris", "champion", 3),
                ModelVersionDeleted(40, "iris", 3),
            ),
            (
                ModelVersionCreated(41, "iris", "s4", "s4"),
                RegisteredModelRenamed(42, "iris", "flowers"),
                RegisteredModelRenamed(43, "iris", "x"),
            ),
            (
                RegisteredModelCreated(44, "iris"),
                RegisteredModelRenamed(45, "iris", "flowers"),
                RegisteredModelRenamed(46, "iris", "a:b"),
            ),
            (RegisteredModelRenamed(47, "flowers", "flowers"), AliasSet(48, "flowers", "champion", 4)),
            (
                RegisteredModelDeleted(49, "iris"),
                RegisteredModelDeleted(50, "iris"),
                RegisteredModelCreated(51, "iris"),
            ),
            (ModelVersionCreated(52, "iris", "again", "again"), RegisteredModelDeleted(53, "flowers")),
        ],
    ),
    "registry: models that trainers name": (
        CONTROL,
        [
            (RegisteredModelEnsured(1, "iris"), ModelVersionCreated(2, "iris", "runs:/x/model", "runs:/x/model")),
            (RegisteredModelEnsured(3, "iris"), ModelVersionCreated(4, "iris", "runs:/y/model", "runs:/y/model")),
            (RegisteredModelEnsured(5, "a/b"), RegisteredModelCreated(6, "iris"), RegisteredModelDeleted(7, "iris")),
            (RegisteredModelEnsured(8, "iris"),),
        ],
    ),
    "imports: control": (
        CONTROL,
        [
            (ExperimentCreated(1, "7", "old", created_us=5), RegisteredModelCreated(2, "iris", created_us=6)),
            (
                ModelVersionCreated(3, "iris", "s1", "s1", created_us=7, number=3, user="ann"),
                ModelVersionCreated(4, "iris", "s2", "s2", created_us=8, number=2),
            ),
            (
                ModelVersionCreated(5, "iris", "s3", "s3", number=2**40),
                ModelVersionCreated(6, "iris", "s4", "s4"),
                ModelVersionCreated(7, "iris", "s5", "s5", number=0),
            ),
        ],
    ),
    "imports: models": (
        partition_of(MODEL),
        [(LoggedModelCreated(1, MODEL, "1", "model", created_us=5),)],
    ),
    "tokens": (
        CONTROL,
        [
            (TokenCreated(1, "0123456789abcdef", "ann", "ab" * 32, "laptop", 9000),),
            (
                TokenCreated(2, "0123456789abcdef", "bob", "cd" * 32),
                TokenCreated(3, "fedcba9876543210", "bob", "cd" * 32),
            ),
            (TokenCreated(4, "short", "bob", "cd" * 32), TokenCreated(5, "00" * 8, "bob", "not a hash")),
            (TokenRevoked(6, "fedcba9876543210"), TokenRevoked(7, "fedcba9876543210"), TokenRevoked(8, "unknown")),
        ],
    ),
    "webhooks": (
        CONTROL,
        [
            (RegisteredModelCreated(1, "before"),),
            (
                WebhookCreated(2, HOOK, "all", HOOK_URL, WEBHOOK_EVENTS, "told of everything", "s-1"),
                WebhookCreated(3, OTHER_HOOK, "stages", HOOK_URL, (STAGE_CHANGED,), status="DISABLED"),
            ),
            (WebhookCreated(4, HOOK, "twice", HOOK_URL, WEBHOOK_EVENTS), WebhookCreated(5, "w 1", "x", HOOK_URL, ())),
            (
                WebhookCreated(6, "w-1", "-x", HOOK_URL, (STAGE_CHANGED,)),
                WebhookCreated(7, "w-1", "x", HOOK_URL, ("model.eaten",)),
                WebhookCreated(8, "w-1", "x", HOOK_URL, (STAGE_CHANGED,), status="ASLEEP"),
                WebhookCreated(9, "w-1", "x", "https://" + "x" * 2000, (STAGE_CHANGED,)),
            ),
            (RegisteredModelCreated(10, "iris", "text", (("a", "b"),)), RegisteredModelCreated(11, "iris")),
            (RegisteredModelEnsured(12, "iris"), RegisteredModelEnsured(13, "wine")),
            (
                ModelVersionCreated(14, "iris", "runs:/x/model", "s1", run_id=RUN, description="", tags=(("k", "v"),)),
                ModelVersionCreated(15, "iris", "models:/m-1", "s2"),
            ),
            (ModelVersionTagSet(16, "iris", 1, "k", "w"), ModelVersionTagDeleted(17, "iris", 1, "nobody")),
            (RegisteredModelTagSet(18, "iris", "a", "c"), RegisteredModelTagDeleted(19, "iris", "a")),
            (AliasSet(20, "iris", "champion", 1), AliasSet(21, "iris", "x", 9), AliasDeleted(22, "iris", "champion")),
            (StageChanged(23, "iris", 1, "Production"), StageChanged(24, "iris", 2, "Production", "Archived")),
            (RegisteredModelCreated(25, "hello", tags=PROMPT), ModelVersionCreated(26, "hello", "p", "p", tags=PROMPT)),
            (
                RegisteredModelTagSet(27, "hello", "a", "b"),
                RegisteredModelTagDeleted(28, "hello", "a"),
                ModelVersionTagSet(29, "hello", 1, "k", "w"),
                ModelVersionTagDeleted(30, "hello", 1, "k"),
                AliasSet(31, "hello", "best", 1),
                AliasDeleted(32, "hello", "best"),
            ),
            (
                WebhookUpdated(33, OTHER_HOOK, "renamed", description="words", secret_id="s-2", status="ACTIVE"),
                WebhookUpdated(34, OTHER_HOOK, events=("model_version.created", STAGE_CHANGED)),
                WebhookUpdated(35, OTHER_HOOK, events=("model.eaten",)),
                WebhookUpdated(36, "nobody", "x"),
                WebhookUpdated(37, HOOK, url="https://example.com/other", secret_id=""),
            ),
            (StageChanged(38, "iris", 2, "Staging"),),
        ],
    ),
    "webhooks: deliveries": (
        CONTROL,
        [
            (WebhookCreated(1, HOOK, "all", HOOK_URL, ("registered_model.created",)),),
            tuple(RegisteredModelCreated(2, name) for name in ("retried", "given-up", "replayed", "waiting")),
            (
                _attempt(0, 1, "failed", 503, 2_000_000),
                _attempt(0, 1, "failed", None, 3_000_000),
                _attempt(0, 1, "delivered", 200),
                _attempt(0, 1, "failed", 500, 4_000_000),
            ),
            (_attempt(1, 1, "failed", 404),),
            (
                _attempt(2, 1, "failed", 500, 2_000_000),
                WebhookRedeliveryRequested(3, HOOK, delivery_id_of(HOOK, 2, 2, 0)),
                _attempt(2, 1, "delivered", 200),
                _attempt(2, 2, "failed", 500, 3_000_000),
                _attempt(2, 3, "delivered", 200),
            ),
            (
                _attempt(3, 1, "perhaps", 200),
                _attempt(3, 1, "delivered", 7),
                _attempt(9, 1, "delivered", 200),
                WebhookRedeliveryRequested(4, HOOK, "nobody"),
                WebhookRedeliveryRequested(5, OTHER_HOOK, delivery_id_of(HOOK, 2, 3, 0)),
            ),
            (WebhookDeleted(6, HOOK), WebhookDeleted(7, HOOK), WebhookUpdated(8, HOOK, "x")),
            (RegisteredModelCreated(9, "silent"), WebhookRedeliveryRequested(10, HOOK, delivery_id_of(HOOK, 2, 0, 0))),
        ],
    ),
}


def frozen_case(partition: Partition, records: list[tuple[Event, ...]]) -> list[FrozenRecord]:
    def salts() -> Iterator[bytes]:
        return (number.to_bytes(16, "big") for number in count())

    return [
        freeze_record(Record(partition, ProducerId("golden"), sequence, Actor("ann"), events), salts=salts())
        for sequence, events in enumerate(records, start=1)
    ]


def decide(partition: Partition, frozen: list[FrozenRecord]) -> dict[str, list[object]]:
    """Fold the records from nothing, and return every row that came of it, those of the catalogue as "keys"."""
    rows = Rows(None)
    fold = Fold.over(rows)
    for index, bytes_ in enumerate(frozen, start=1):
        fold_entry(fold, decode_entry(LogEntry(partition, index, 1_000_000 + index, bytes_)))
    fold.points.flush()
    fold.marks.flush()
    decisions = [
        [table.name, {name: _plain(value) for name, value in row.items()}] for table, row in rows.changes() if row
    ]
    fold.catalogue.flush()
    keys = [list(row.values()) for table, row in rows.changes() if row and table is tables.experiment_keys]
    return {"decisions": sorted(decisions, key=repr), "keys": sorted(keys, key=repr)}


def _plain(value: Value) -> object:
    if isinstance(value, bytes):
        return value.hex()
    return repr(value) if isinstance(value, float) else value


def read_golden() -> dict[str, dict[str, list[object]]]:
    if not GOLDEN.exists():
        return {}
    golden: dict[str, dict[str, list[object]]] = json.loads(GOLDEN.read_text())
    return golden


def test_decisions_are_those_that_were_pinned() -> None:
    golden = read_golden()
    assert set(golden) == set(CASES)
    for name, case in golden.items():
        frozen = [FrozenRecord(bytes.fromhex(str(packed))) for packed in case["records"]]
        decided = decide(CASES[name][0], frozen)
        assert decided == {part: case[part] for part in decided}, name


def test_every_event_has_a_pinned_decision() -> None:
    pinned = {
        event.WIRE_NAME
        for case in read_golden().values()
        for packed in case["records"]
        for event in decode_record(bytes.fromhex(str(packed))).events
    }
    assert pinned == set(BY_WIRE_NAME)


def add_missing_cases() -> None:
    golden = read_golden()
    for name, (partition, records) in CASES.items():
        if name not in golden:
            frozen = frozen_case(partition, records)
            golden[name] = {"records": [packed.hex() for packed in frozen], **decide(partition, frozen)}
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    add_missing_cases()
