"""What MLflow's client asks about the server itself."""
