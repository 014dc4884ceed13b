"""Reads over HTTP: MLflow's REST protocol page by page, so that nothing is cut off silently, and our own API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

import httpx

from mltrail._delivery import Arrived
from mltrail._reader import Decision, RunSnapshot
from mltrail._reader.decision_json import decision_of
from mltrail._reader.delivery_json import arrived_of
from mltrail._reader.found_json import SNAPSHOT_COLUMNS, found_snapshot_of
from mltrail._reader.mlflow_json import items, snapshot_of
from mltrail._reader.series_json import points_of
from mltrail._settings import without_password
from mltrail._transport.http import token_header
from mltrail_core.errors import Forbidden, Invalid, NotFound, Unavailable
from mltrail_core.metric_block import MetricPoint

_TIMEOUT = httpx.Timeout(60.0, connect=5.0)
_PAGE_RUNS = 1000


class HttpReader:
    """A `Reader` of the API at `url`; a connection for each call, since reads are rare in a training."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self._address = url
        self._url = without_password(url)
        self._token = token

    def get_run(self, run_id: str) -> RunSnapshot:
        with self._client() as client:
            return snapshot_of(self._get(client, "runs/get", {"run_id": run_id}).get("run"))

    def search_runs(
        self, experiments: Sequence[str] | None, filter_string: str, order_by: Sequence[str], max_results: int
    ) -> list[RunSnapshot]:
        found: list[RunSnapshot] = []
        body: dict[str, object] = {
            "filter": filter_string,
            "order_by": list(order_by),
            "columns": list(SNAPSHOT_COLUMNS),
        }
        if experiments is not None:
            body["experiments"] = list(experiments)
        with self._client() as client:
            while len(found) < max_results:
                body["max_results"] = min(_PAGE_RUNS, max_results - len(found))
                answer = self._post(client, f"{self._address}/api/v1/runs/search", body)
                found += [found_snapshot_of(run) for run in items(answer, "runs")]
                if not answer.get("next_page_token"):
                    break
                body["page_token"] = answer["next_page_token"]
        return found

    def metric_history(self, run_id: str, key: str) -> list[MetricPoint]:
        metrics = f"{self._address}/api/v1/runs/{run_id}/metrics"
        with self._client() as client:
            try:
                return points_of(self._get(client, f"{metrics}/{quote(key)}", {}))
            except NotFound:
                self._get(client, metrics, {"max_results": 1})  # which tells a run that is not there
                return []

    def delivery(self, run_id: str) -> Arrived:
        with self._client() as client:
            return arrived_of(self._get(client, f"{self._address}/api/v1/runs/{run_id}/delivery", {}))

    def decision(self, producer: str, sequence: int, model: str | None) -> Decision | None:
        path = f"{self._address}/api/v1/producers/{producer}/records/{sequence}/outcome"
        with self._client() as client:
            return decision_of(self._get(client, path, {} if model is None else {"model": model}))

    def _client(self) -> httpx.Client:
        base_url = f"{self._address}/api/2.0/mlflow/"
        return httpx.Client(base_url=base_url, timeout=_TIMEOUT, headers=token_header(self._token))

    def _get(self, client: httpx.Client, path: str, query: Mapping[str, str | int]) -> Mapping[str, object]:
        try:
            return self._answer(client.get(path, params=dict(query)))
        except httpx.HTTPError as error:
            raise Unavailable(f"{self._url} can't be reached: {str(error) or type(error).__name__}") from error

    def _post(self, client: httpx.Client, path: str, body: Mapping[str, object]) -> Mapping[str, object]:
        try:
            return self._answer(client.post(path, json=body))
        except httpx.HTTPError as error:
            raise Unavailable(f"{self._url} can't be reached: {str(error) or type(error).__name__}") from error

    def _answer(self, response: httpx.Response) -> Mapping[str, object]:
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if response.status_code == 200 and isinstance(answer, Mapping):
            return answer
        said = answer.get("message") if isinstance(answer, Mapping) else None
        message = str(said or f"{self._url} answered {response.status_code}: {response.text[:300]}")
        code = answer.get("error_code") if isinstance(answer, Mapping) else None
        match response.status_code:
            case 404 if code == "RESOURCE_DOES_NOT_EXIST":
                raise NotFound(message)
            case 404:
                raise Unavailable(f"{message}; is {self._url} an mltrail server?")
            case 401 | 403:
                raise Forbidden(message)
            case status if 400 <= status < 500 and status != 429:
                raise Invalid(message)
        raise Unavailable(message)
