"""MLflow's logged models endpoints."""
