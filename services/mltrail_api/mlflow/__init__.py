"""MLflow's REST protocol as the stock `mlflow` client speaks it, over our log and read model."""
