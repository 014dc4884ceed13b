"""All cases: one module for each noun of the protocol."""

from __future__ import annotations

from tests.compat.cases import (
    artifacts,
    bad_input,
    datasets,
    experiment_search,
    experiments,
    history,
    logged_model_search,
    logged_models,
    logging,
    run_search,
    runs,
    webhooks,
)

GROUPS = (
    experiments.GROUP,
    experiment_search.GROUP,
    runs.GROUP,
    logging.GROUP,
    run_search.GROUP,
    history.GROUP,
    datasets.GROUP,
    logged_models.GROUP,
    logged_model_search.GROUP,
    artifacts.GROUP,
    bad_input.GROUP,
    webhooks.GROUP,
)
