"""What a run of the source has that the run here has not, as the events that would say it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from mltrail_api.search.view import RunView
from mltrail_cli.importing.source import SourceDataset, SourceRun
from mltrail_core.events import (
    DatasetInputLogged,
    Event,
    ModelInputLogged,
    ModelOutputLogged,
    ParamLogged,
    RunCreated,
    RunDeleted,
    RunRenamed,
    RunRestored,
    RunStatusChanged,
    TagSet,
)

_NAME_TAG = "mlflow.runName"


def missing_facts(run: SourceRun, experiment_id: str, here: RunView | None) -> Iterator[Event]:
    """Yield what makes the run here say what the source's says; points, files, end and deletion aside.

    Events happened when the run started: MLflow does not know better, and every import says the same.
    """
    at_us, run_id = run.started_us, run.run_id
    is_new = here is None or not here.experiment_id
    name = run.tags.get(_NAME_TAG, run.name)
    if is_new:
        yield RunCreated(at_us, run_id, experiment_id, name, run.user, run.started_us)
    elif here is not None and here.name != name:
        yield RunRenamed(at_us, run_id, name)
    params = {} if here is None else dict(here.params)
    for key, value in run.params.items():
        if params.get(key) != value:
            yield ParamLogged(at_us, run_id, key, value)
    tags = {} if here is None else dict(here.tags)
    if is_new or (here is not None and here.name != name):
        tags[_NAME_TAG] = name
    for key, value in run.tags.items():
        if tags.get(key) != value:
            yield TagSet(at_us, run_id, key, value)
    yield from _missing_links(run, here)


def missing_end(run: SourceRun, here: RunView | None) -> Iterator[Event]:
    """Yield the run's status and end, if the run here has others."""
    status, ended_us = ("RUNNING", None) if here is None else (here.status, here.ended_us)
    if run.status != status or (run.ended_us is not None and run.ended_us != ended_us):
        at_us = run.started_us if run.ended_us is None else run.ended_us
        yield RunStatusChanged(at_us, run.run_id, run.status, run.ended_us)


def through_deletion(run: SourceRun, is_deleted_here: bool, events: Iterable[Event]) -> Iterator[Event]:
    """Yield `events`, and restore and delete the run around them: what is deleted takes no writes."""
    at_us = run.started_us if run.ended_us is None else run.ended_us
    is_deleted = is_deleted_here
    for event in events:
        if is_deleted:
            yield RunRestored(at_us, run.run_id)
            is_deleted = False
        yield event
    if run.is_deleted and not is_deleted:
        yield RunDeleted(at_us, run.run_id)
    elif is_deleted and not run.is_deleted:
        yield RunRestored(at_us, run.run_id)


def _missing_links(run: SourceRun, here: RunView | None) -> Iterator[Event]:
    at_us, run_id = run.started_us, run.run_id
    datasets: Mapping[tuple[str, str], SourceDataset] = (
        {}
        if here is None
        else {
            (one.name, one.digest): SourceDataset(
                one.name, one.digest, one.source_type, one.source, one.schema, one.profile, tuple(one.tags.items())
            )
            for one in here.dataset_inputs
        }
    )
    for dataset in run.datasets:
        known = datasets.get((dataset.name, dataset.digest))
        if known is None or _comparable(known) != _comparable(dataset):
            yield DatasetInputLogged(
                at_us,
                run_id,
                dataset.name,
                dataset.digest,
                dataset.source_type,
                dataset.source,
                dataset.schema,
                dataset.profile,
                dataset.tags,
            )
    inputs = () if here is None else here.model_inputs
    yield from (ModelInputLogged(at_us, run_id, model_id) for model_id in run.model_inputs if model_id not in inputs)
    outputs = set() if here is None else {(one.model_id, one.step) for one in here.model_outputs}
    for model_id, step in run.model_outputs:
        if (model_id, step) not in outputs:
            yield ModelOutputLogged(at_us, run_id, model_id, step)


def _comparable(dataset: SourceDataset) -> tuple[object, ...]:
    return dataset.source_type, dataset.source, dataset.schema, dataset.profile, dict(dataset.tags)
