"""`server-info`: what the client may use here; a wrong flag silently changes how it uploads."""

from __future__ import annotations

from mltrail_api.mlflow.endpoint import Answer, Caller
from mltrail_api.mlflow.wire import Message
from mltrail_api.services import Services


class ServerInfo(Message):
    """No fields."""


async def server_info(services: Services, request: ServerInfo, caller: Caller) -> Answer:
    """Say which of MLflow's optional features are served: none yet (`mlflow.utils.server_info`)."""
    return Answer(
        {
            "store_type": "SqlStore",
            "workspaces_enabled": False,
            "trace_archival_enabled": False,
            "multipart_uploads_enabled": False,
            "multipart_downloads_enabled": False,
            "presigned_upload_run_id_supported": False,
            "presigned_upload_model_id_supported": False,
            "features_enabled": {"gateway": False},
        }
    )
