"""MLflow's own database as a source: its tables are reflected, so that those of older versions are read too."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlalchemy import MetaData, RowMapping, Table, create_engine, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from mltrail_cli.importing.database_registry import registered_models
from mltrail_cli.importing.database_rows import grouped, pairs, rows_of
from mltrail_cli.importing.local_files import bytes_of, files_below, folder_of
from mltrail_cli.importing.source import (
    SourceDataset,
    SourceExperiment,
    SourceFile,
    SourceLink,
    SourceModel,
    SourceRegistered,
    SourceRun,
)
from mltrail_core.errors import Invalid, Unavailable
from mltrail_core.metric_block import MetricPoint
from mltrail_core.rules import LOGGED_MODEL_PENDING, LOGGED_MODEL_READY, LOGGED_MODEL_UPLOAD_FAILED

_RUNS_PER_PAGE = 200
_POINTS_PER_PAGE = 10_000
_STATUSES = {1: LOGGED_MODEL_PENDING, 2: LOGGED_MODEL_READY, 3: LOGGED_MODEL_UPLOAD_FAILED}


class DatabaseSource:
    """A database that `mlflow server --backend-store-uri` was given; it is only read, on one snapshot if it has them.

    Args:
        url: SQLAlchemy's URL of it.
        artifacts_root: the folder that `mlflow-artifacts:` URIs are below.

    Raises:
        Invalid: it is no database of MLflow's.
        Unavailable: it can't be reached.
    """

    def __init__(self, url: str, artifacts_root: Path | None) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise Invalid(f"{url!r} is not a database URL; expected sqlite:///mlflow.db or postgresql://…") from error
        if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
            raise Invalid(f"there is no file {parsed.database!r}; absolute paths take four slashes: sqlite:////data/…")
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        self._identity = parsed.set(password=None).render_as_string()
        if parsed.get_backend_name() == "sqlite":
            self._identity = f"sqlite:///{Path(parsed.database or '').resolve()}"
        self._artifacts_root = artifacts_root
        self._working_folder = (
            Path(parsed.database or "").absolute().parent if "sqlite" in parsed.drivername else Path()
        )
        self._engine = create_engine(parsed)
        metadata = MetaData()
        try:
            metadata.reflect(self._engine)
            self._connection = self._engine.connect()
        except SQLAlchemyError as error:
            self._engine.dispose()
            raise Unavailable(f"{self._identity} can't be read: {error}") from error
        self._tables = metadata.tables
        if "runs" not in self._tables or "experiments" not in self._tables or "run_uuid" not in self._table("runs").c:
            self.close()
            raise Invalid(f"{self._identity} holds no tables of MLflow's; name the --backend-store-uri of its server")

    @property
    def identity(self) -> str:
        return self._identity

    def run_count(self) -> int | None:
        return self._connection.execute(select(func.count()).select_from(self._table("runs"))).scalar()

    def experiments(self) -> Iterator[SourceExperiment]:
        experiments, tags = self._table("experiments"), self._tables.get("experiment_tags")
        for row in rows_of(self._connection, select(experiments).order_by(experiments.c.experiment_id)):
            found = rows_of(self._connection, tags, "experiment_id", [row["experiment_id"]])
            created_ms = row.get("creation_time")
            yield SourceExperiment(
                str(row["experiment_id"]),
                row["name"],
                row["artifact_location"],
                row["lifecycle_stage"] == "deleted",
                None if created_ms is None else created_ms * 1000,
                pairs(found, "key", "value"),
            )

    def runs(self, experiment_id: str) -> Iterator[Sequence[SourceRun]]:
        runs = self._table("runs")
        query = select(runs).where(runs.c.experiment_id == int(experiment_id)).order_by(runs.c.run_uuid)
        after = ""
        while page := rows_of(self._connection, query.where(runs.c.run_uuid > after).limit(_RUNS_PER_PAGE)):
            after = page[-1]["run_uuid"]
            yield self._whole(page)

    def points(self, run: SourceRun, key: str) -> Iterator[MetricPoint]:
        metrics = self._table("metrics")
        query = select(metrics.c.value, metrics.c.step, metrics.c.timestamp, metrics.c.is_nan).where(
            metrics.c.run_uuid == run.run_id, metrics.c.key == key
        )
        query = query.order_by(metrics.c.step, metrics.c.timestamp, metrics.c.value)
        with self._connection.execution_options(yield_per=_POINTS_PER_PAGE).execute(query) as found:
            for value, step, timestamp, is_nan in found:
                yield MetricPoint(key, math.nan if is_nan else value, step, timestamp * 1000)

    def links(self, run: SourceRun) -> Sequence[SourceLink]:
        rows = rows_of(self._connection, self._tables.get("logged_model_metrics"), "run_id", [run.run_id])
        return [
            SourceLink(
                row["model_id"],
                MetricPoint(
                    row["metric_name"],
                    math.nan if row["metric_value"] is None else row["metric_value"],
                    row["metric_step"],
                    row["metric_timestamp_ms"] * 1000,
                ),
                row["dataset_name"],
                row["dataset_digest"],
            )
            for row in rows
        ]

    def models(self, experiment_id: str) -> Iterator[SourceModel]:
        models = self._tables.get("logged_models")
        for row in rows_of(self._connection, models, "experiment_id", [int(experiment_id)]):
            if row["lifecycle_stage"] == "deleted":
                continue
            ids = [row["model_id"]]
            params = rows_of(self._connection, self._table("logged_model_params"), "model_id", ids)
            tags = rows_of(self._connection, self._table("logged_model_tags"), "model_id", ids)
            yield SourceModel(
                row["model_id"],
                str(row["experiment_id"]),
                row["name"],
                row["model_type"] or None,
                row["source_run_id"] or None,
                _STATUSES.get(row["status"], LOGGED_MODEL_PENDING),
                row["creation_timestamp_ms"] * 1000,
                row["artifact_location"],
                pairs(params, "param_key", "param_value"),
                pairs(tags, "tag_key", "tag_value"),
            )

    def registered_models(self) -> Iterator[SourceRegistered]:
        return registered_models(self._connection, self._tables)

    def files(self, owner: SourceRun | SourceModel) -> Iterator[SourceFile]:
        return files_below(self._folder(owner))

    def read_file(self, owner: SourceRun | SourceModel, path: str) -> Iterator[bytes]:
        return bytes_of(self._folder(owner) / path)

    def close(self) -> None:
        if hasattr(self, "_connection"):
            self._connection.close()
        self._engine.dispose()

    def _folder(self, owner: SourceRun | SourceModel) -> Path:
        return folder_of(owner.artifact_uri, self._artifacts_root, self._working_folder)

    def _table(self, name: str) -> Table:
        return self._tables[name]

    def _whole(self, page: Sequence[RowMapping]) -> list[SourceRun]:
        ids = [row["run_uuid"] for row in page]
        params = grouped(self._connection, self._table("params"), "run_uuid", ids)
        tags = grouped(self._connection, self._table("tags"), "run_uuid", ids)
        keys = grouped(self._connection, self._table("latest_metrics"), "run_uuid", ids)
        datasets = self._datasets(ids)
        inputs, outputs = self._model_links(ids)
        return [
            SourceRun(
                run_id=row["run_uuid"],
                experiment_id=str(row["experiment_id"]),
                name=row.get("name") or pairs(tags[row["run_uuid"]], "key", "value").get("mlflow.runName", ""),
                user=row["user_id"] or "",
                status=row["status"],
                started_us=(row["start_time"] or 0) * 1000,
                ended_us=None if row["end_time"] is None else row["end_time"] * 1000,
                is_deleted=row["lifecycle_stage"] == "deleted",
                artifact_uri=row["artifact_uri"] or "",
                params=pairs(params[row["run_uuid"]], "key", "value"),
                tags=pairs(tags[row["run_uuid"]], "key", "value"),
                metric_keys=[metric["key"] for metric in keys[row["run_uuid"]]],
                datasets=datasets[row["run_uuid"]],
                model_inputs=inputs[row["run_uuid"]],
                model_outputs=outputs[row["run_uuid"]],
            )
            for row in page
        ]

    def _datasets(self, run_ids: Sequence[str]) -> dict[str, list[SourceDataset]]:
        found = defaultdict[str, list[SourceDataset]](list)
        inputs = self._tables.get("inputs")
        rows = [
            row
            for row in rows_of(self._connection, inputs, "destination_id", run_ids)
            if (row["source_type"], row["destination_type"]) == ("DATASET", "RUN")
        ]
        datasets = rows_of(
            self._connection, self._tables.get("datasets"), "dataset_uuid", [row["source_id"] for row in rows]
        )
        by_id = {dataset["dataset_uuid"]: dataset for dataset in datasets}
        tags = grouped(
            self._connection, self._tables.get("input_tags"), "input_uuid", [row["input_uuid"] for row in rows]
        )
        for row in rows:
            dataset = by_id[row["source_id"]]
            found[row["destination_id"]].append(
                SourceDataset(
                    dataset["name"],
                    dataset["digest"],
                    dataset["dataset_source_type"],
                    dataset["dataset_source"],
                    dataset["dataset_schema"] or None,
                    dataset["dataset_profile"] or None,
                    tuple(pairs(tags[row["input_uuid"]], "name", "value").items()),
                )
            )
        return found

    def _model_links(self, run_ids: Sequence[str]) -> tuple[dict[str, list[str]], dict[str, list[tuple[str, int]]]]:
        inputs, outputs = defaultdict[str, list[str]](list), defaultdict[str, list[tuple[str, int]]](list)
        for row in rows_of(self._connection, self._tables.get("inputs"), "source_id", run_ids):
            if row["source_type"] == "RUN_INPUT":
                inputs[row["source_id"]].append(row["destination_id"])
            elif row["source_type"] == "RUN_OUTPUT":
                outputs[row["source_id"]].append((row["destination_id"], row["step"]))
        return inputs, outputs
