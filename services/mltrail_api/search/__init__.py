"""MLflow's search: filter and order strings become an expression, and the expression SQL over the read model."""
