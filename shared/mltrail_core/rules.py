"""The rules that decide whether what a producer said is accepted: pure, and fixed for a record format for ever.

The API checks the same rules before it appends, so that most mistakes never reach the log; the fold decides again.
Limits are those of MLflow 3 (`mlflow.utils.validation`).
"""

from __future__ import annotations

import posixpath
import re
from enum import StrEnum

MAX_KEY_CHARACTERS = 250
MAX_PARAM_CHARACTERS = 6000
MAX_TAG_CHARACTERS = 8000
MAX_EXPERIMENT_TAG_CHARACTERS = 20_000
MAX_EXPERIMENT_NAME_CHARACTERS = 500
MAX_PATH_BYTES = 2000
"""Of the path's UTF-8. An index row of PostgreSQL takes 2,704 bytes, and paths are keys; S3 itself takes 1,024."""
MAX_DATASET_NAME_CHARACTERS = 500
MAX_DATASET_NAME_BYTES = 1000
MAX_DATASET_DIGEST_CHARACTERS = 36
MAX_ID_CHARACTERS = 64

RUN_STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
ENDED_STATUSES = ("FINISHED", "FAILED", "KILLED")
LOST_STATUS = "LOST"
"""What a run that counts as lost is called wherever MLflow's own words are not needed; never a recorded status."""
LOST_TAG = "mltrail.lost"
"""The tag that a run has while it counts as lost; the fold sets and removes it."""
LOGGED_MODEL_PENDING, LOGGED_MODEL_READY, LOGGED_MODEL_UPLOAD_FAILED = (
    "LOGGED_MODEL_PENDING",
    "LOGGED_MODEL_READY",
    "LOGGED_MODEL_UPLOAD_FAILED",
)
LOGGED_MODEL_STATUSES = (LOGGED_MODEL_PENDING, LOGGED_MODEL_READY, LOGGED_MODEL_UPLOAD_FAILED)

_ID = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_ID_CHARACTERS}}}")
_KEY = re.compile(r"[/\w.\- :]*")


class Reason(StrEnum):
    """Why an event or a record was rejected; a stable word that programs may match."""

    UNDECODABLE = "undecodable"
    SEQUENCE_REUSED = "sequence_reused"
    WRONG_PARTITION = "wrong_partition"
    INVALID = "invalid"
    UNKNOWN_SUBJECT = "unknown_subject"
    SUBJECT_DELETED = "subject_deleted"
    NAME_TAKEN = "name_taken"
    ALREADY_EXISTS = "already_exists"
    PARAM_CHANGED = "param_changed"
    NOT_THERE = "not_there"
    NOT_ALLOWED = "not_allowed"


def key_fault(key: str) -> str | None:
    """Return what is wrong with the key of a param, metric or tag, or None.

    As in MLflow: at most 250 characters of letters, digits, `_ - . / :` and spaces, and a clean relative path.
    """
    if not key:
        return "the key is empty"
    if len(key) > MAX_KEY_CHARACTERS:
        return f"the key has {len(key)} characters; at most {MAX_KEY_CHARACTERS} are allowed"
    if not _KEY.fullmatch(key):
        return f"the key {key!r} may only hold letters, digits, underscores, dashes, dots, spaces, colons and slashes"
    if not _is_clean_path(key):
        return f"the key {key!r} is not a clean relative path, without '..', '//' and '/' at either end"
    return None


def id_fault(subject: str) -> str | None:
    """Return what is wrong with the id of a run, experiment, logged model or owner of artifacts, or None."""
    if not _ID.fullmatch(subject):
        return f"{subject[:80]!r} is no id; expected 1 to {MAX_ID_CHARACTERS} letters, digits, underscores and dashes"
    return None


def dataset_fault(name: str, digest: str) -> str | None:
    """Return what is wrong with the name or the digest of a dataset, or None; both are keys of tables."""
    if not name or len(name.encode()) > MAX_DATASET_NAME_BYTES:
        return f"the dataset's name has {len(name.encode())} bytes; 1 to {MAX_DATASET_NAME_BYTES} are allowed"
    return text_fault("dataset's name", name, MAX_DATASET_NAME_CHARACTERS) or text_fault(
        "dataset's digest", digest, MAX_DATASET_DIGEST_CHARACTERS
    )


def path_fault(path: str) -> str | None:
    """Return what is wrong with an artifact's path, or None: relative, `/`-separated, with no `..` and no NUL."""
    if not path:
        return "the path is empty"
    if len(path.encode()) > MAX_PATH_BYTES:
        return f"the path has {len(path.encode())} bytes; at most {MAX_PATH_BYTES} are allowed"
    if "\0" in path or "\\" in path:
        return f"the path {path!r} holds a NUL or a backslash"
    if not _is_clean_path(path):
        return f"the path {path!r} is not a clean relative path, without '..', '//' and '/' at either end"
    return None


def text_fault(what: str, value: str, max_characters: int) -> str | None:
    """Return what is wrong with the length of a value, or None."""
    if len(value) > max_characters:
        return f"the {what} has {len(value)} characters; at most {max_characters} are allowed"
    return None


def experiment_name_fault(name: str) -> str | None:
    """Return what is wrong with an experiment's name, or None."""
    if not name:
        return "the experiment's name is empty"
    return text_fault("experiment's name", name, MAX_EXPERIMENT_NAME_CHARACTERS)


def param_change_message(run_id: str, key: str, old: str, new: str) -> str:
    """Return what a producer is told that gives a param another value."""
    return f"run {run_id}: param {key!r} already has the value {old!r} and can't become {new!r}; params never change"


def _is_clean_path(path: str) -> bool:
    return path == posixpath.normpath(path) and path != "." and not path.startswith(("/", "../")) and path != ".."
