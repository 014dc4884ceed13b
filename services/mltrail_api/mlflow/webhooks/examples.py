"""What a webhook is sent when it is tested: MLflow's own examples (`mlflow.webhooks.types`)."""

from __future__ import annotations

from collections.abc import Mapping

from mltrail_core.webhook_rules import STAGE_CHANGED

_TAGS = {"example_key": "example_value"}
_TAG = {"key": "example_key", "value": "example_value"}
_MODEL, _PROMPT = {"name": "example_model"}, {"name": "example_prompt"}
_VERSION, _PROMPT_VERSION = {**_MODEL, "version": "1"}, {**_PROMPT, "version": "1"}
_ALIAS = {"alias": "example_alias"}

EXAMPLES: Mapping[str, Mapping[str, object]] = {
    "registered_model.created": {**_MODEL, "tags": _TAGS, "description": "An example registered model"},
    "model_version.created": {
        **_VERSION,
        "source": "models:/123",
        "run_id": "abcd1234abcd5678",
        "tags": _TAGS,
        "description": "An example model version",
    },
    "model_version_tag.set": {**_VERSION, **_TAG},
    "model_version_tag.deleted": {**_VERSION, "key": "example_key"},
    "model_version_alias.created": {**_MODEL, **_ALIAS, "version": "1"},
    "model_version_alias.deleted": {**_MODEL, **_ALIAS},
    "prompt.created": {**_PROMPT, "tags": _TAGS, "description": "An example prompt"},
    "prompt_version.created": {
        **_PROMPT_VERSION,
        "template": "Hello {{name}}!",
        "tags": _TAGS,
        "description": "An example prompt version",
    },
    "prompt_tag.set": {**_PROMPT, **_TAG},
    "prompt_tag.deleted": {**_PROMPT, "key": "example_key"},
    "prompt_version_tag.set": {**_PROMPT_VERSION, **_TAG},
    "prompt_version_tag.deleted": {**_PROMPT_VERSION, "key": "example_key"},
    "prompt_alias.created": {**_PROMPT, **_ALIAS, "version": "1"},
    "prompt_alias.deleted": {**_PROMPT, **_ALIAS},
    "budget_policy.exceeded": {
        "budget_policy_id": "bp-abc123",
        "budget_unit": "USD",
        "budget_amount": 100.0,
        "current_spend": 105.5,
        "duration_unit": "MONTHS",
        "duration_value": 1,
        "target_scope": "ENDPOINT",
        "workspace": "default",
        "target_value": "ep-abc123",
        "window_start": 1704067200000,
    },
    STAGE_CHANGED: {**_VERSION, "from_stage": "Staging", "to_stage": "Production"},
}
