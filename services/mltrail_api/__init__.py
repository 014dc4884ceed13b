"""HTTP: the MLflow protocol, our own `/api/v1` and the pages."""
