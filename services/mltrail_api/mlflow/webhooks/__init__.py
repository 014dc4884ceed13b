"""Registry webhooks in MLflow's protocol."""
