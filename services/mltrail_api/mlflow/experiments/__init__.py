"""MLflow's experiments endpoints."""
