"""The artifacts of a logged model; they are uploaded and downloaded through the proxy, as a run's."""

from __future__ import annotations

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from mltrail_api.mlflow.artifacts.endpoints import send_file
from mltrail_api.mlflow.artifacts.paths import readable_path
from mltrail_api.mlflow.artifacts.places import Place
from mltrail_api.mlflow.artifacts.queries import listed
from mltrail_api.mlflow.artifacts.uploads import note_arrivals
from mltrail_api.mlflow.endpoint import Answer, Caller, seen_answer
from mltrail_api.mlflow.logged_models.endpoints import known_model, model_not_found
from mltrail_api.mlflow.logged_models.queries import ModelView, load_model
from mltrail_api.mlflow.logged_models.requests import GetLoggedModelFile, ListLoggedModelArtifacts
from mltrail_api.mlflow.wire import fields_of_query, parse_message
from mltrail_api.services import Services
from mltrail_api.visibility import freshness_of


async def list_artifacts(services: Services, request: ListLoggedModelArtifacts, caller: Caller) -> Answer:
    """Answer a directory of a logged model, with paths from the model's root."""
    path, model_id = readable_path(request.artifact_directory_path), request.model_id
    await note_arrivals(services, Place(model_id, path))

    def query(connection: Connection) -> tuple[ModelView | None, list[dict[str, object]]]:
        return load_model(connection, model_id), listed(connection, model_id, path, path)

    seen = await services.visibility.read(query, caller.asks_for(freshness_of(model_id)))
    model, files = seen.value
    if model is None or model.is_deleted:
        raise model_not_found(model_id)
    return seen_answer(seen, {"files": files, "root_uri": model.artifact_uri})


async def get_file(services: Services, request: Request, caller: Caller) -> Response:
    """Stream a file of a logged model, as pages link to it."""
    wanted = parse_message(GetLoggedModelFile, fields_of_query(request.scope["query_string"], GetLoggedModelFile))
    model = await known_model(services, request.path_params["model_id"])
    if model.is_deleted:
        raise model_not_found(model.model_id)
    place = Place(model.model_id, readable_path(wanted.artifact_file_path))
    return await send_file(services, request, place, caller)
