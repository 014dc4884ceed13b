"""MLflow's metric history endpoints: never cut or sampled unless the request asks for it."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence

from sqlalchemy import Connection

from mltrail_api.mlflow.endpoint import Answer, Caller, seen_answer
from mltrail_api.mlflow.metrics.queries import sampled
from mltrail_api.mlflow.metrics.requests import GetHistory, GetHistoryBulk, GetHistoryBulkInterval
from mltrail_api.services import Services
from mltrail_api.visibility import RUN_BOUND_S, Freshness, freshness_of
from mltrail_core.errors import Invalid
from mltrail_core.ids import CONTROL, partition_of
from mltrail_core.series import Series, Window, read_history_page, read_series

MAX_RUNS = 100
MAX_RESULTS_PER_RUN = 2500
MAX_BULK_RESULTS = 25_000


async def get_history(services: Services, request: GetHistory, caller: Caller) -> Answer:
    """Answer the points of one metric by (time, step, value): all of them, or a page of `max_results`."""
    if request.max_results is not None and request.max_results <= 0:
        raise Invalid(
            f"Invalid value {request.max_results} for parameter 'max_results' supplied. It must be a positive integer."
        )
    start = offset_of_token(request.page_token)

    def query(connection: Connection) -> tuple[list[dict[str, object]], int]:
        page = read_history_page(connection, request.run_id, request.metric_key, start, request.max_results)
        return _as_json(page.points, request.metric_key), page.total

    seen = await services.visibility.read(query, caller.asks_for(freshness_of(request.run_id)))
    metrics, total = seen.value
    body: dict[str, object] = {"metrics": metrics} if metrics else {}
    if start + len(metrics) < total and metrics:
        body["next_page_token"] = token_of_offset(start + len(metrics))
    return seen_answer(seen, body)


async def get_history_bulk(services: Services, request: GetHistoryBulk, caller: Caller) -> Answer:
    """Answer the points of one metric of several runs, by run, then (time, step, value); stock's page asks for it."""
    if not request.run_id:
        raise Invalid("GetMetricHistoryBulk request must specify at least one run_id.")
    _refuse_runs("GetMetricHistoryBulk", request.run_id)
    count = max(0, min(request.max_results, MAX_BULK_RESULTS))

    def query(connection: Connection) -> list[dict[str, object]]:
        metrics: list[dict[str, object]] = []
        for run_id in sorted(set(request.run_id)):
            page = read_history_page(connection, run_id, request.metric_key, 0, count - len(metrics))
            metrics += _as_json(page.points, request.metric_key, run_id)
        return metrics

    seen = await services.visibility.read(query, caller.asks_for(_freshness(request.run_id)))
    return seen_answer(seen, {"metrics": seen.value})


async def get_history_bulk_interval(services: Services, request: GetHistoryBulkInterval, caller: Caller) -> Answer:
    """Answer at most `max_results` points a run, evenly spread over an interval of steps, its last point included."""
    _refuse_runs("GetMetricHistoryBulkInterval", request.run_ids)
    if not 1 <= request.max_results <= MAX_RESULTS_PER_RUN:
        raise Invalid(f"max_results must be between 1 and {MAX_RESULTS_PER_RUN}, found {request.max_results}.")
    first_step, last_step = request.start_step, request.end_step
    if (first_step is None) != (last_step is None):
        raise Invalid("If either start step or end step are specified, both must be specified.")
    if first_step is not None and last_step is not None and first_step > last_step:
        raise Invalid(
            f"end_step must be greater than start_step. Found start_step={first_step} and end_step={last_step}."
        )

    def query(connection: Connection) -> list[dict[str, object]]:
        metrics: list[dict[str, object]] = []
        for run_id in request.run_ids:
            points = read_series(connection, run_id, request.metric_key, Window(first_step, last_step))
            metrics += _as_json(sampled(points, request.max_results), request.metric_key, run_id)
        return metrics

    seen = await services.visibility.read(query, caller.asks_for(_freshness(request.run_ids)))
    return seen_answer(seen, {"metrics": seen.value} if seen.value else {})


def token_of_offset(offset: int) -> str:
    """Return the page token for what follows the first `offset` results, in stock's form."""
    return base64.b64encode(json.dumps({"offset": offset}).encode()).decode()


def offset_of_token(token: str) -> int:
    """Return how many results the pages before this one held; 0 for no token.

    Raises:
        Invalid: the token is not one that a page ended with.
    """
    if not token:
        return 0
    try:
        offset = json.loads(base64.b64decode(token, validate=True))["offset"]
    except (binascii.Error, ValueError, TypeError, KeyError, RecursionError) as error:
        raise Invalid(f"Invalid page token {token[:200]!r}; send the next_page_token of the page before") from error
    if type(offset) is not int or not 0 <= offset < 2**53:
        raise Invalid(f"Invalid page token {token[:200]!r}: its offset is no count")
    return offset


def _as_json(points: Series, key: str, run_id: str | None = None) -> list[dict[str, object]]:
    columns = (points.values.tolist(), (points.times_us // 1000).tolist(), points.steps.tolist())
    more = {} if run_id is None else {"run_id": run_id}
    return [
        {"key": key, "value": value, "timestamp": time_ms, "step": step, **more}
        for value, time_ms, step in zip(*columns, strict=True)
    ]


def _freshness(run_ids: Sequence[str]) -> Freshness:
    return Freshness({CONTROL, *(partition_of(run_id) for run_id in run_ids)}, RUN_BOUND_S)


def _refuse_runs(what: str, run_ids: Sequence[str]) -> None:
    if len(run_ids) > MAX_RUNS:
        raise Invalid(f"{what} request must specify at most {MAX_RUNS} run_ids. Received {len(run_ids)} run_ids.")
