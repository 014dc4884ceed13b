"""The registry store: MLflow's own, whose requests never overtake what the same program has logged before."""

from __future__ import annotations

from collections.abc import Sequence

from mlflow.entities.model_registry import ModelVersion, ModelVersionTag
from mlflow.store.model_registry.rest_store import RestStore

from mltrail._losses import logger
from mltrail._mlflow.connection import Connection

_UPLOAD_TIMEOUT_S = 60.0
"""How long a new version waits for the files it is made of."""


class MltrailRegistryStore(RestStore):
    """Asks the server that the tracking store of the same URI asks."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection.host_creds)
        self._connection = connection

    def _call_endpoint(self, *args: object, **kwargs: object) -> object:
        self._connection.settle()
        answer: object = super()._call_endpoint(*args, **kwargs)
        return answer

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Sequence[ModelVersionTag] | None = None,
        run_link: str | None = None,
        description: str | None = None,
        local_model_path: str | None = None,
        model_id: str | None = None,
    ) -> ModelVersion:
        """Make a version, once the artifacts that were logged before have arrived."""
        if not self._connection.flush(_UPLOAD_TIMEOUT_S):
            logger.warning(
                "mltrail: not all artifacts have arrived after %g s; the new version of %r may lack files until then",
                _UPLOAD_TIMEOUT_S,
                name,
            )
        version: ModelVersion = super().create_model_version(
            name, source, run_id, tags, run_link, description, local_model_path, model_id
        )
        return version
