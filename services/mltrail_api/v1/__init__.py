"""What MLflow has no word for, under `/api/v1`."""
