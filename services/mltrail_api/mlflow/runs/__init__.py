"""MLflow's runs endpoints."""
