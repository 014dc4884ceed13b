"""`mltrail import mlflow`: reads another tracker, compares with what is here, and appends what is missing."""
