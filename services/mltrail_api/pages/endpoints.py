"""`/`, `/experiments/{id}` and `/runs/{id}`: what a browser sees, as the read model is now (nobody waits for it).

`registry` has the pages of registered models.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy import Connection

from mltrail_api.identity.queries import actor_of_run
from mltrail_api.pages import registry
from mltrail_api.pages.queries import (
    ExperimentLine,
    artifacts_of,
    experiment_lines,
    metric_summaries_of,
    unplaced_run_ids,
)
from mltrail_api.pages.rendering import missing_page, page
from mltrail_api.pages.run_table import Search, run_table
from mltrail_api.search.experiment_view import ExperimentView, load_experiments
from mltrail_api.search.placement import own_experiment_ids
from mltrail_api.search.runs import search_runs
from mltrail_api.search.view import RunView, load_run, load_runs
from mltrail_api.services import Services
from mltrail_api.v1.delivered import Delivery, load_delivery, with_present
from mltrail_api.visibility import EVENTUAL
from mltrail_core.errors import Invalid

_PAGE_RUNS = 100
_MAX_UNPLACED = 100

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
router.include_router(registry.router)


@router.get("/")
async def experiments(request: Request) -> HTMLResponse:
    """Show all active experiments."""

    def query(connection: Connection) -> tuple[list[ExperimentLine], list[str]]:
        return experiment_lines(connection), unplaced_run_ids(connection, _MAX_UNPLACED)

    services = _services(request)
    lines, unplaced = (await services.visibility.read(query, EVENTUAL)).value
    values = {"server_version": services.version, "lines": lines, "unplaced": unplaced}
    return page("experiments.html", values, script=True)


@router.get("/experiments/{experiment_id}")
async def runs(
    request: Request, experiment_id: str, filter: str = "", order_by: str = "", page_token: str = ""
) -> HTMLResponse:
    """Show runs of an experiment that match a filter, a page at a time."""
    services = _services(request)
    search = Search(experiment_id, filter.strip(), order_by, page_token)

    def query(connection: Connection) -> tuple[ExperimentView | None, list[RunView], str | None, str | None]:
        experiment = _experiment(connection, experiment_id)
        if experiment is None:
            return None, [], None, None
        try:
            found = search_runs(
                connection,
                [experiment.experiment_id],
                search.filter or None,
                max_results=_PAGE_RUNS,
                order_by=[search.order_by] if search.order_by else [],
                page_token=search.page_token or None,
            )
        except Invalid as error:
            return experiment, [], None, str(error)
        return experiment, load_runs(connection, found.run_ids), found.next_page_token, None

    experiment, found, next_token, fault = (await services.visibility.read(query, EVENTUAL)).value
    if experiment is None:
        return _missing(services, f"There is no experiment {experiment_id[:200]}.")
    table = run_table(found, search)
    values = {
        "server_version": services.version,
        "experiment": experiment,
        "search": search,
        "fault": fault,
        "columns": table.columns,
        "rows": table.rows,
        "hidden": table.hidden,
        "next_url": search.url(page_token=next_token) if next_token else None,
    }
    return page("runs.html", values, status=200 if fault is None else 400)


@router.get("/runs/{run_id}")
async def run(request: Request, run_id: str) -> HTMLResponse:
    """Show a run with all that belongs to it."""
    services = _services(request)

    def query(connection: Connection) -> dict[str, object] | None:
        found, delivery = load_run(connection, run_id), load_delivery(connection, run_id)
        if found is None:
            return None
        return {
            "run": found,
            "actor": actor_of_run(connection, run_id),
            "experiment": _experiment(connection, found.experiment_id),
            "metrics": metric_summaries_of(connection, run_id),
            "artifacts": artifacts_of(connection, [run_id]),
            "delivery": delivery,
        }

    values = (await services.visibility.read(query, EVENTUAL)).value
    if values is None:
        return _missing(services, f"There is no run {run_id[:200]}. If it has just begun, reload in a moment.")
    found, delivery = values["run"], values["delivery"]
    assert isinstance(found, RunView)
    assert isinstance(delivery, Delivery)
    if found.status == "RUNNING":
        values["delivery"] = await services.visibility.run(
            lambda: with_present(delivery, services.log, services.liveness)
        )
    return page("run.html", {"server_version": services.version, **values})


@router.get("/experiments/{experiment_id}/runs/{run_id}")
async def run_of_experiment(experiment_id: str, run_id: str) -> RedirectResponse:
    """Lead to the run."""
    return RedirectResponse(f"/runs/{run_id}")


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _experiment(connection: Connection, experiment_id: str) -> ExperimentView | None:
    try:
        own_ids = own_experiment_ids(connection, [experiment_id])
    except Invalid:
        return None  # no decimal number, so no experiment's id
    return next(iter(load_experiments(connection, own_ids)), None)


def _missing(services: Services, message: str) -> HTMLResponse:
    return missing_page(services.version, message)
