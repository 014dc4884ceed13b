"""The plug-in of MLflow's client: with the tracking URI `mltrail+http://…` it writes through this SDK, reads over REST.

MLflow finds these three functions as entry points, and calls them with a URI of theirs. It loads them when it is itself
imported, so all that needs MLflow is imported by them; `import mltrail` never loads this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

    from mltrail._mlflow.registry_store import MltrailRegistryStore
    from mltrail._mlflow.tracking_store import MltrailTrackingStore

SCHEME_PREFIX = "mltrail+"


def open_tracking_store(store_uri: str, artifact_uri: str | None = None) -> MltrailTrackingStore:
    """Return the tracking store of an `mltrail+…` URI; `artifact_uri` means nothing to it, the server decides."""
    from mltrail._mlflow.connection import connection_to
    from mltrail._mlflow.tracking_store import MltrailTrackingStore

    return MltrailTrackingStore(connection_to(store_uri))


def open_registry_store(store_uri: str, tracking_uri: str | None = None) -> MltrailRegistryStore:
    """Return the model registry store of an `mltrail+…` URI."""
    from mltrail._mlflow.connection import connection_to
    from mltrail._mlflow.registry_store import MltrailRegistryStore

    return MltrailRegistryStore(connection_to(store_uri))


def open_artifact_repository(
    artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
) -> ArtifactRepository:
    """Return the repository of an `mlflow-artifacts:` URI: MLflow's own, unless the tracking URI is one of ours.

    MLflow resolves these URIs by the tracking URI, and knows only `http` and `https` there. The URIs themselves stay as
    they are, so that what clients write down (sources of versions, MLmodel files) means the same to every client.
    """
    from mlflow.tracking import get_tracking_uri

    # MLflow below 3.5 neither gives nor takes a registry URI.
    options = {} if registry_uri is None else {"registry_uri": registry_uri}
    effective_uri = tracking_uri or get_tracking_uri()
    if effective_uri.startswith(SCHEME_PREFIX):
        from mltrail._mlflow.artifact_repository import MltrailArtifactRepository
        from mltrail._mlflow.connection import connection_to

        return MltrailArtifactRepository(artifact_uri, connection_to(effective_uri), **options)
    from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository

    return MlflowArtifactsRepository(artifact_uri, tracking_uri=tracking_uri, **options)
