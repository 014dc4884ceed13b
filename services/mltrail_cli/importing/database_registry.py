"""The model registry in MLflow's own database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import Connection, RowMapping, Table, select

from mltrail_cli.importing.database_rows import pairs, rows_of
from mltrail_cli.importing.source import SourceRegistered, SourceVersion, logged_model_in


def registered_models(connection: Connection, tables: Mapping[str, Table]) -> Iterator[SourceRegistered]:
    """Yield every registered model with its versions."""
    models = tables.get("registered_models")
    for model in rows_of(connection, None if models is None else select(models).order_by(models.c.name)):
        name = model["name"]
        tags = rows_of(connection, tables.get("registered_model_tags"), "name", [name])
        aliases = rows_of(connection, tables.get("registered_model_aliases"), "name", [name])
        versions = rows_of(connection, tables.get("model_versions"), "name", [name])
        version_tags = rows_of(connection, tables.get("model_version_tags"), "name", [name])
        yield SourceRegistered(
            name,
            (model["creation_time"] or 0) * 1000,
            model["description"] or None,
            pairs(tags, "key", "value"),
            {alias["alias"]: int(alias["version"]) for alias in aliases},
            [
                _version(row, pairs((tag for tag in version_tags if tag["version"] == row["version"]), "key", "value"))
                for row in sorted(versions, key=lambda row: int(row["version"]))
                if row["current_stage"] != "Deleted_Internal"
            ],
        )


def _version(row: RowMapping, tags: Mapping[str, str]) -> SourceVersion:
    return SourceVersion(
        row["name"],
        int(row["version"]),
        (row["creation_time"] or 0) * 1000,
        row["description"] or None,
        row["user_id"] or None,
        row["current_stage"] or "None",
        row["source"] or "",
        row.get("storage_location") or None,
        row["run_id"] or None,
        row["run_link"] or None,
        logged_model_in(row["source"] or ""),
        tags,
    )
