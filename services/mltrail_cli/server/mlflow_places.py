"""Where `mlflow ui`'s options `--backend-store-uri` and `--default-artifact-root` put mltrail's data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mltrail_core.errors import Invalid


@dataclass(frozen=True, slots=True)
class Places:
    """What the settings are to say; None leaves them as they are."""

    data: Path | None
    store_url: str | None
    artifacts_url: str | None


def places_of(data: Path | None, backend_store_uri: str | None, default_artifact_root: str | None) -> Places:
    """Return where the data of mltrail lies when MLflow's would lie there.

    A folder is the data folder. `sqlite:///runs.db` gives the folder `runs.mltrail` beside it: mltrail's database is
    not MLflow's, and a file that MLflow wrote stays untouched. `postgresql://…` holds the read model, in schemas of
    its own.

    Raises:
        Invalid: mltrail can't keep its data there; the message says what to use instead.
    """
    store_url = None
    if backend_store_uri is not None:
        scheme, separator, rest = backend_store_uri.partition("://")
        dialect = scheme.partition("+")[0]
        if not separator or scheme == "file":
            data = data or Path(rest if separator else backend_store_uri)
        elif dialect == "sqlite":
            file = Path(rest[1:])
            if not rest.startswith("/") or not rest[1:]:
                raise Invalid(
                    f"--backend-store-uri {backend_store_uri!r} names no file; "
                    "mltrail keeps its log in a folder: use --data DIR"
                )
            data = data or file.with_suffix(".mltrail")
        elif dialect in ("postgresql", "postgres"):
            store_url = f"postgresql://{rest}"
        else:
            raise Invalid(
                f"--backend-store-uri {backend_store_uri!r}: mltrail keeps its read model in a folder, in "
                "sqlite:///file or in postgresql://…; a URL of a running server is for MLFLOW_TRACKING_URI"
            )
    return Places(data, store_url, _artifacts_url(default_artifact_root))


def _artifacts_url(root: str | None) -> str | None:
    if root is None or root.startswith("mlflow-artifacts:"):
        return None  # served by us, which is what we always do
    scheme, separator, _ = root.partition("://")
    if separator and scheme not in ("file", "s3"):
        raise Invalid(f"--default-artifact-root {root!r}: mltrail keeps artifacts in a folder or in s3://bucket/prefix")
    return root
