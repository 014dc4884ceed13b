"""One function per event, and the dict that maps each event's wire name to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mltrail_core.events import Event
from mltrail_projector.fold import Fold, Place
from mltrail_projector.handlers import (
    artifact,
    artifact_upload,
    experiment,
    liveness,
    logged_model,
    producer,
    registry,
    registry_versions,
    run,
    token,
    webhook_deliveries,
    webhooks,
)

HANDLERS: dict[str, Callable[[Any, Fold, Place], None]] = {
    "experiment_created": experiment.created,
    "experiment_ensured": experiment.ensured,
    "experiment_renamed": experiment.renamed,
    "experiment_tag_set": experiment.tag_set,
    "experiment_tag_deleted": experiment.tag_deleted,
    "experiment_deleted": experiment.deleted,
    "experiment_restored": experiment.restored,
    "run_created": run.created,
    "run_renamed": run.renamed,
    "run_status_changed": run.status_changed,
    "run_deleted": run.deleted,
    "run_restored": run.restored,
    "run_lost": liveness.lost,
    "run_returned": liveness.returned,
    "tag_set": run.tag_set,
    "tag_deleted": run.tag_deleted,
    "param_logged": run.param_logged,
    "metrics_logged": run.metrics_logged,
    "dataset_input_logged": run.dataset_input_logged,
    "model_input_logged": run.model_input_logged,
    "model_output_logged": run.model_output_logged,
    "artifact_stored": artifact.stored,
    "artifact_deleted": artifact.deleted,
    "artifact_upload_began": artifact_upload.began,
    "artifact_uploaded": artifact_upload.uploaded,
    "artifact_verified": artifact_upload.verified,
    "artifact_upload_abandoned": artifact_upload.abandoned,
    "logged_model_created": logged_model.created,
    "logged_model_finalized": logged_model.finalized,
    "logged_model_deleted": logged_model.deleted,
    "logged_model_param_logged": logged_model.param_logged,
    "logged_model_tag_set": logged_model.tag_set,
    "logged_model_tag_deleted": logged_model.tag_deleted,
    "registered_model_created": registry.model_created,
    "registered_model_ensured": registry.model_ensured,
    "registered_model_renamed": registry.model_renamed,
    "registered_model_described": registry.model_described,
    "registered_model_tag_set": registry.model_tag_set,
    "registered_model_tag_deleted": registry.model_tag_deleted,
    "registered_model_deleted": registry.model_deleted,
    "alias_set": registry.alias_set,
    "alias_deleted": registry.alias_deleted,
    "model_version_created": registry_versions.version_created,
    "model_version_described": registry_versions.version_described,
    "model_version_tag_set": registry_versions.version_tag_set,
    "model_version_tag_deleted": registry_versions.version_tag_deleted,
    "model_version_deleted": registry_versions.version_deleted,
    "stage_changed": registry_versions.stage_changed,
    "producer_opened": producer.opened,
    "producer_closed": producer.closed,
    "token_created": token.created,
    "token_revoked": token.revoked,
    "webhook_created": webhooks.created,
    "webhook_updated": webhooks.updated,
    "webhook_deleted": webhooks.deleted,
    "webhook_delivery_attempted": webhooks.delivery_attempted,
    "webhook_redelivery_requested": webhooks.redelivery_requested,
}


def handle(event: Event, fold: Fold, place: Place) -> None:
    """Apply one event to the fold's rows.

    Raises:
        Reject: the event is rejected; nothing was changed.
    """
    HANDLERS[event.WIRE_NAME](event, fold, place)
    webhook_deliveries.tell_webhooks(event, fold, place)
