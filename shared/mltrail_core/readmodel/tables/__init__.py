"""The tables of the read model, on SQLite and PostgreSQL alike; every row can be given back by the log.

Times are µs UTC. A metric value of NULL is NaN (SQLite stores NaN as NULL; here both databases do), ±Infinity is kept.
No table spans partitions: a row is written by the fold of one partition only, so joins are made at read time.
Foreign keys are left out for that reason: the run's partition may be projected before its experiment's.
"""

from __future__ import annotations

from mltrail_core.readmodel.tables.artifacts import (
    artifact_uploads,
    artifact_versions,
    artifacts,
    unverified_artifacts,
)
from mltrail_core.readmodel.tables.chunks import (
    compaction_calls,
    metric_chunks,
)
from mltrail_core.readmodel.tables.columns import METADATA, TEXT
from mltrail_core.readmodel.tables.experiments import (
    experiment_aliases,
    experiment_names,
    experiment_tags,
    experiments,
)
from mltrail_core.readmodel.tables.keys import (
    experiment_keys,
)
from mltrail_core.readmodel.tables.liveness import (
    lost_runs,
)
from mltrail_core.readmodel.tables.logged_models import (
    deleted_logged_models,
    logged_model_metrics,
    logged_model_params,
    logged_model_tags,
    logged_models,
)
from mltrail_core.readmodel.tables.projection import (
    changes,
    generation,
    positions,
    producer_records,
    producers,
    rejections,
)
from mltrail_core.readmodel.tables.registry import (
    model_version_origins,
    model_version_tags,
    model_versions,
    registered_model_aliases,
    registered_model_names,
    registered_model_origins,
    registered_model_tags,
    registered_models,
    registry_changes,
)
from mltrail_core.readmodel.tables.runs import (
    HEAD,
    HEAD_CHARACTERS,
    HEADS_TO_COME,
    RUN_DURATION_US,
    dataset_inputs,
    indexed_text,
    indexed_value,
    metric_blocks,
    metric_summaries,
    model_inputs,
    model_outputs,
    params,
    runs,
    tags,
)
from mltrail_core.readmodel.tables.tokens import (
    tokens,
)
from mltrail_core.readmodel.tables.webhooks import (
    webhook_attempts,
    webhook_deliveries,
    webhook_subscriptions,
    webhooks,
)

__all__ = [
    "HEAD",
    "HEADS_TO_COME",
    "HEAD_CHARACTERS",
    "METADATA",
    "RUN_DURATION_US",
    "TEXT",
    "artifact_uploads",
    "artifact_versions",
    "artifacts",
    "changes",
    "compaction_calls",
    "dataset_inputs",
    "deleted_logged_models",
    "experiment_aliases",
    "experiment_keys",
    "experiment_names",
    "experiment_tags",
    "experiments",
    "generation",
    "indexed_text",
    "indexed_value",
    "logged_model_metrics",
    "logged_model_params",
    "logged_model_tags",
    "logged_models",
    "lost_runs",
    "metric_blocks",
    "metric_chunks",
    "metric_summaries",
    "model_inputs",
    "model_outputs",
    "model_version_origins",
    "model_version_tags",
    "model_versions",
    "params",
    "positions",
    "producer_records",
    "producers",
    "registered_model_aliases",
    "registered_model_names",
    "registered_model_origins",
    "registered_model_tags",
    "registered_models",
    "registry_changes",
    "rejections",
    "runs",
    "tags",
    "tokens",
    "unverified_artifacts",
    "webhook_attempts",
    "webhook_deliveries",
    "webhook_subscriptions",
    "webhooks",
]
