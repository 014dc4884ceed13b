"""How MLflow's client is told about registered models and versions (`mlflow.protos.model_registry_pb2`)."""

from __future__ import annotations

from mltrail_api.mlflow.registry.queries import Pairs, RegisteredModelView, VersionView

Json = dict[str, object]


def registered_model_json(model: RegisteredModelView) -> Json:
    """Return the JSON of a registered model."""
    return _filled(
        name=model.name,
        creation_timestamp=model.created_us // 1000,
        last_updated_timestamp=model.updated_us // 1000,
        user_id=model.user,
        description=model.description or None,  # stock leaves out an empty one, of models only
        latest_versions=[version_json(version, has_aliases=False) for version in model.latest],
        tags=_tags(model.tags),
        aliases=[{"alias": alias, "version": str(number)} for alias, number in model.aliases],
    )


def version_json(version: VersionView, *, has_aliases: bool = True) -> Json:
    """Return the JSON of a model version; a number of 0, not known yet, is left out.

    Stock names the aliases of a version that is asked for, not of those in a list.
    """
    return _filled(
        name=version.name,
        version=str(version.number) if version.number else None,
        creation_timestamp=version.created_us // 1000,
        last_updated_timestamp=version.updated_us // 1000,
        user_id=version.user,
        current_stage=version.stage,
        description=version.description,
        source=version.source,
        run_id=version.run_id or "",
        run_link=version.run_link or "",
        model_id=version.model_id,
        status=version.status,
        tags=_tags(version.tags),
        aliases=list(version.aliases) if has_aliases else None,
    )


def _tags(tags: Pairs) -> list[Json]:
    return [{"key": key, "value": value} for key, value in tags]


def _filled(**fields: object) -> Json:
    # Protobuf-JSON leaves out what is not set, and the client reads what is absent as empty.
    return {name: value for name, value in fields.items() if value not in (None, [])}
