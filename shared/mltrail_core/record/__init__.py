"""Records: what is appended to the log, frozen as bytes before the first send.

Three names for three things: a `Record` is the domain object, `FrozenRecord` its bytes, and a `LogEntry` (in
`mltrail_core.log`) frozen bytes at an index of a partition.
"""

from __future__ import annotations

from mltrail_core.record.codec import (
    FORMAT_VERSION,
    GOOD_RECORD_BYTES,
    MAX_RECORD_BYTES,
    Actor,
    Attestation,
    FrozenRecord,
    Record,
    attest,
    decode_record,
    decode_with_identity,
    freeze_record,
    identity_hash,
    leaf_hash,
)
from mltrail_core.record.one_point import SinglePoint, freeze_point

__all__ = [
    "FORMAT_VERSION",
    "GOOD_RECORD_BYTES",
    "MAX_RECORD_BYTES",
    "Actor",
    "Attestation",
    "FrozenRecord",
    "Record",
    "SinglePoint",
    "attest",
    "decode_record",
    "decode_with_identity",
    "freeze_point",
    "freeze_record",
    "identity_hash",
    "leaf_hash",
]
