"""MLflow's artifact endpoints: of a run, and the `mlflow-artifacts` proxy that clients upload to and download from."""
