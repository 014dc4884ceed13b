"""A script: logs one run with the stock client, and prints its id or the code of the error that it got."""

from __future__ import annotations

import mlflow
from mlflow.exceptions import MlflowException


def main() -> None:
    """Log where and as the environment says."""
    try:
        with mlflow.start_run() as run:
            mlflow.log_param("a", 1)
            mlflow.log_text("hello", "note.txt")
        print(run.info.run_id)
    except MlflowException as error:
        print(error.error_code)


if __name__ == "__main__":
    main()
