"""MLflow's metric history endpoints."""
