"""`server-info`: what the client may use here; a wrong flag silently changes how it uploads."""

from __future__ import annotations

from mltrail_api.mlflow.endpoint import Answer, Caller
from mltrail_api.mlflow.wire import Message
from mltrail_api.services import Services


class ServerInfo(Message):
    """No fields."""


async def server_info(services: Services, request: ServerInfo, caller: Caller) -> Answer:
    """Say which of MLflow's optional features are served (`mlflow.utils.server_info`).

    Clients go past the server where they can: to an S3 that they reach, never to a folder.
    """
    direct = services.artifacts.direct
    is_direct = direct is not None and direct.reaches_clients
    return Answer(
        {
            "store_type": "SqlStore",
            "workspaces_enabled": False,
            "trace_archival_enabled": False,
            "multipart_uploads_enabled": is_direct,
            "multipart_downloads_enabled": is_direct,
            "presigned_upload_run_id_supported": is_direct,
            "presigned_upload_model_id_supported": is_direct,
            "features_enabled": {"gateway": False},
        }
    )
