"""The tables of the read model, on SQLite and PostgreSQL alike; every row can be given back by the log.

Times are µs UTC. A metric value of NULL is NaN (SQLite stores NaN as NULL; here both databases do), ±Infinity is kept.
No table spans partitions: a row is written by the fold of one partition only, so joins are made at read time.
Foreign keys are left out for that reason: the run's partition may be projected before its experiment's.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

METADATA = MetaData()

TEXT = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that PostgreSQL, too, compares byte by byte, so that both databases order alike."""


def _id(name: str, *, primary_key: bool = False, nullable: bool = False) -> Column[str]:
    return Column(name, TEXT, primary_key=primary_key, nullable=nullable)


def _us(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


generation = Table(  # one row: which tables the generation was made with; other code must rebuild before it reads
    "generation",
    METADATA,
    _id("schema_hash", primary_key=True),
)

# -- where the projector stands ------------------------------------------------------------------------------------

positions = Table(
    "positions",
    METADATA,
    _id("partition", primary_key=True),
    Column("index", BigInteger, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=True),  # of the record at `index`: a log that lost its tail is noticed
    _us("appended_us"),
    Column("halted", TEXT, nullable=True),  # why this partition is not projected any further; not part of digests
)

producers = Table(
    "producers",
    METADATA,
    _id("producer", primary_key=True),
    _id("partition", primary_key=True),
    Column("intervals", TEXT, nullable=False),  # sequences received, as "1-41,43"; kept for ever
    Column("last_sequence", BigInteger, nullable=True),  # what `producer_closed` declared; NULL: end unknown
    _id("run_id", nullable=True),
    Column("host", TEXT, nullable=True),
    Column("process_id", BigInteger, nullable=True),
    Column("rank", BigInteger, nullable=True),
    _us("opened_us", nullable=True),
    _us("last_appended_us"),
    Index("producers_by_run", "run_id"),
)

producer_records = Table(  # the identities of received records, in runs of consecutive sequences
    "producer_records",
    METADATA,
    _id("producer", primary_key=True),
    _id("partition", primary_key=True),
    Column("first_sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("identities", LargeBinary, nullable=False),  # the first 8 bytes of each record's identity hash
)

rejections = Table(
    "rejections",
    METADATA,
    _id("partition", primary_key=True),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column(
        "number", Integer, primary_key=True, autoincrement=False
    ),  # of the event in its record; -1: the whole record
    _id("subject", nullable=True),  # run id, experiment id, model id or registered model's name
    _id("wire_name", nullable=True),
    _id("reason"),  # a word of `mltrail_core.rules.Reason`
    Column("message", TEXT, nullable=False),
    _id("producer", nullable=True),
    Column("sequence", BigInteger, nullable=True),
    _us("appended_us"),
    Index("rejections_by_subject", "subject"),
)

changes = Table(  # which records changed a subject (metrics alone are left out); the log holds what they said
    "changes",
    METADATA,
    _id("subject", primary_key=True),
    _id("partition", primary_key=True),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
)

# -- experiments ---------------------------------------------------------------------------------------------------

experiments = Table(
    "experiments",
    METADATA,
    _id("experiment_id", primary_key=True),
    Column("name", TEXT, nullable=False),
    Column("artifact_location", TEXT, nullable=True),  # NULL: mlflow-artifacts:/<experiment id>
    Column("is_deleted", Boolean, nullable=False),
    _us("created_us"),
    _us("updated_us"),
    Column("actor", TEXT, nullable=False),
    _id("actor_known"),
)

experiment_names = Table(  # names in use, also by deleted experiments
    "experiment_names",
    METADATA,
    Column("name", TEXT, primary_key=True),
    _id("experiment_id"),
)

experiment_aliases = Table(  # ids that trainers proposed for experiments that had another id already
    "experiment_aliases",
    METADATA,
    _id("proposed_id", primary_key=True),
    _id("experiment_id"),
    Index("experiment_aliases_by_experiment", "experiment_id"),
)

experiment_tags = Table(
    "experiment_tags",
    METADATA,
    _id("experiment_id", primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("value", TEXT, nullable=False),
)

# -- runs ----------------------------------------------------------------------------------------------------------

runs = Table(
    "runs",
    METADATA,
    _id("run_id", primary_key=True),
    _id("experiment_id"),  # as the producer said it: the experiment's own id or one of its aliases
    Column("name", TEXT, nullable=False),
    Column("user", TEXT, nullable=False),
    _id("status"),
    _us("started_us"),
    _us("ended_us", nullable=True),
    Column("is_deleted", Boolean, nullable=False),  # by its own events; a deleted experiment deletes its runs at read
    _us("deleted_us", nullable=True),
    _us("created_us"),
    Column("actor", TEXT, nullable=False),
    _id("actor_known"),
    Index("runs_by_experiment", "experiment_id", "started_us", "run_id"),
)

params = Table(
    "params",
    METADATA,
    _id("run_id", primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("value", TEXT, nullable=False),
    Index("params_by_key", "key"),
)

tags = Table(
    "tags",
    METADATA,
    _id("run_id", primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("value", TEXT, nullable=False),
    Index("tags_by_key", "key"),
)

metric_blocks = Table(  # the points of a run, as they came, one row for each run and projection batch
    "metric_blocks",
    METADATA,
    _id("run_id", primary_key=True),
    Column("last_index", BigInteger, primary_key=True, autoincrement=False),  # of the run's partition
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("point_count", Integer, nullable=False),
    Column("block", LargeBinary, nullable=False),  # see mltrail_core.metric_block
)

metric_summaries = Table(  # one row for each run and key, exact duplicates counted as logged
    "metric_summaries",
    METADATA,
    _id("run_id", primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("logged_points", BigInteger, nullable=False),
    Column("last_step", BigInteger, nullable=False),  # last by (step, time, value), NaN below every number
    _us("last_time_us"),
    Column("last_value", Double, nullable=True),
    Column("first_step", BigInteger, nullable=False),
    _us("first_time_us"),
    Column("first_value", Double, nullable=True),
    Column("min_value", Double, nullable=True),  # NULL while every value was NaN
    Column("min_step", BigInteger, nullable=True),
    Column("max_value", Double, nullable=True),
    Column("max_step", BigInteger, nullable=True),
    Index("metric_summaries_by_key", "key", "last_value"),
)

# -- datasets and models of runs -------------------------------------------------------------------------------------

dataset_inputs = Table(
    "dataset_inputs",
    METADATA,
    _id("run_id", primary_key=True),
    Column("name", TEXT, primary_key=True),
    Column("digest", TEXT, primary_key=True),
    Column("source_type", TEXT, nullable=False),
    Column("source", TEXT, nullable=False),
    Column("schema", TEXT, nullable=True),
    Column("profile", TEXT, nullable=True),
    Column("tags", TEXT, nullable=False),  # a JSON object, keys sorted
)

model_inputs = Table(
    "model_inputs",
    METADATA,
    _id("run_id", primary_key=True),
    _id("model_id", primary_key=True),
)

model_outputs = Table(
    "model_outputs",
    METADATA,
    _id("run_id", primary_key=True),
    _id("model_id", primary_key=True),
    Column("step", BigInteger, nullable=False),
)

# -- artifacts -------------------------------------------------------------------------------------------------------

artifacts = Table(
    "artifacts",
    METADATA,
    _id("owner", primary_key=True),  # run id, logged model id, or `files`
    Column("path", TEXT, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    _id("sha256"),
    Column("media_type", TEXT, nullable=True),
    _us("stored_us"),
    Index("artifacts_by_blob", "sha256"),
)

artifact_versions = Table(  # what a path held before and since, deletions included
    "artifact_versions",
    METADATA,
    _id("owner", primary_key=True),
    Column("path", TEXT, primary_key=True),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("size_bytes", BigInteger, nullable=True),
    _id("sha256", nullable=True),  # NULL: deleted
    _us("stored_us"),
    Column("actor", TEXT, nullable=False),
)

# -- logged models ---------------------------------------------------------------------------------------------------

logged_models = Table(
    "logged_models",
    METADATA,
    _id("model_id", primary_key=True),
    _id("experiment_id"),
    Column("name", TEXT, nullable=False),
    Column("model_type", TEXT, nullable=True),
    _id("source_run_id", nullable=True),
    _id("status"),
    _us("created_us"),
    _us("updated_us"),
    Index("logged_models_by_experiment", "experiment_id"),
)

deleted_logged_models = Table(  # no column of logged_models: the rows of models that were never deleted are pinned
    "deleted_logged_models",
    METADATA,
    _id("model_id", primary_key=True),
    _us("deleted_us"),
)

logged_model_params = Table(
    "logged_model_params",
    METADATA,
    _id("model_id", primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("value", TEXT, nullable=False),
)

logged_model_tags = Table(
    "logged_model_tags",
    METADATA,
    _id("model_id", primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("value", TEXT, nullable=False),
)

logged_model_metrics = Table(  # written by the fold of the run that logged them; '' where no dataset was named
    "logged_model_metrics",
    METADATA,
    _id("model_id", primary_key=True),
    _id("run_id", primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("dataset_name", TEXT, primary_key=True),
    Column("dataset_digest", TEXT, primary_key=True),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("time_us", BigInteger, primary_key=True, autoincrement=False),
    Column("value", Double, nullable=True),
)

# -- registry --------------------------------------------------------------------------------------------------------

registered_models = Table(
    "registered_models",
    METADATA,
    Column("name", TEXT, primary_key=True),
    _id("registry_id"),  # the place of its creation in `control`, as "index.number": stays when the model is renamed
    Column("description", TEXT, nullable=True),
    Column("next_version", Integer, nullable=False),
    _us("created_us"),
    _us("updated_us"),
    Column("actor", TEXT, nullable=False),
    _id("actor_known"),
)

registered_model_tags = Table(
    "registered_model_tags",
    METADATA,
    Column("name", TEXT, primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("value", TEXT, nullable=False),
)

model_versions = Table(
    "model_versions",
    METADATA,
    Column("name", TEXT, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("index", BigInteger, nullable=False),  # of the record in `control`: how its sender finds its number
    Column("source", TEXT, nullable=False),
    Column("storage_location", TEXT, nullable=False),
    _id("run_id", nullable=True),
    Column("run_link", TEXT, nullable=True),
    _id("model_id", nullable=True),
    Column("description", TEXT, nullable=True),
    _id("stage"),
    _id("status"),
    _us("created_us"),
    _us("updated_us"),
    Column("user", TEXT, nullable=False),
    Column("actor", TEXT, nullable=False),
    _id("actor_known"),
    Index("model_versions_by_index", "index"),
    Index("model_versions_by_run", "run_id"),
)

model_version_tags = Table(
    "model_version_tags",
    METADATA,
    Column("name", TEXT, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("key", TEXT, primary_key=True),
    Column("value", TEXT, nullable=False),
)

# -- API tokens --------------------------------------------------------------------------------------------------------

tokens = Table(  # revoked ones stay: what was done with them keeps its user
    "tokens",
    METADATA,
    _id("token_id", primary_key=True),
    Column("user", TEXT, nullable=False),
    Column("label", TEXT, nullable=False),
    Column("secret_sha256", TEXT, nullable=False),  # of the whole token; see mltrail_core.token
    _us("created_us"),
    _us("expires_us", nullable=True),
    _us("revoked_us", nullable=True),
    Column("actor", TEXT, nullable=False),
    _id("actor_known"),
    Index("tokens_by_user", "user"),
)

registered_model_aliases = Table(
    "registered_model_aliases",
    METADATA,
    Column("name", TEXT, primary_key=True),
    Column("alias", TEXT, primary_key=True),
    Column("version", Integer, nullable=False),
)

# What follows outlives deletion: it answers what the registry said at any moment.

registered_model_names = Table(  # who got a name, and when: a row for each moment at which its owner changed
    "registered_model_names",
    METADATA,
    Column("name", TEXT, primary_key=True),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    _id("registry_id", nullable=True),  # NULL: from here on nobody has the name
    _us("appended_us"),
    Index("registered_model_names_by_model", "registry_id"),
)

registered_model_origins = Table(
    "registered_model_origins",
    METADATA,
    _id("registry_id", primary_key=True),
    _us("created_us"),
    Column("user", TEXT, nullable=False),
)

model_version_origins = Table(  # what a version was made of; none of it ever changes
    "model_version_origins",
    METADATA,
    _id("registry_id", primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("source", TEXT, nullable=False),
    Column("storage_location", TEXT, nullable=False),
    _id("run_id", nullable=True),
    Column("run_link", TEXT, nullable=True),
    _id("model_id", nullable=True),
    _us("created_us"),
    Column("user", TEXT, nullable=False),
)

registry_changes = Table(  # each value that changed, with the one before
    "registry_changes",
    METADATA,
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("part", Integer, primary_key=True, autoincrement=False),  # of the changes that one event made
    _id("registry_id"),
    Column("name", TEXT, nullable=False),  # the model's when the change came
    Column("version", Integer, nullable=True),  # NULL: of the model itself
    _id("kind"),  # created, renamed, deleted, description, tag, alias, stage
    Column("key", TEXT, nullable=True),  # of the tag, or the alias
    Column("before", TEXT, nullable=True),
    Column("after", TEXT, nullable=True),
    Column("actor", TEXT, nullable=False),
    _id("actor_known"),
    _us("appended_us"),
    Index("registry_changes_by_model", "registry_id", "index"),
)
