"""MLflow's model registry endpoints: registered models and their versions."""
