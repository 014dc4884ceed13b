"""One request for one run, without the minutes of repetition that MLflow's client allows itself."""

from __future__ import annotations

from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.protos.service_pb2 import GetRun
from mlflow.utils.proto_json_utils import parse_dict
from mlflow.utils.rest_utils import MlflowHostCreds, http_request, verify_rest_response

_ENDPOINT = "/api/2.0/mlflow/runs/get"
_TIMEOUT_S = 5.0


def get_run_once(creds: MlflowHostCreds, run_id: str) -> Run:
    """Return a run.

    Raises:
        MlflowException: there is no such run, or the server can't be asked; see `is_out_of_reach`.
    """
    response = http_request(
        creds, _ENDPOINT, "GET", max_retries=0, timeout=_TIMEOUT_S, raise_on_status=False, params={"run_id": run_id}
    )
    answer = GetRun.Response()
    parse_dict(verify_rest_response(response, _ENDPOINT).json(), answer)
    return Run.from_proto(answer.run)


def is_out_of_reach(error: MlflowException) -> bool:
    """Return whether the server did not answer, or only that it can't now, rather than that the request is wrong."""
    status: int = error.get_http_status_code()
    return status >= 500 or status == 429
