"""The job that frees what ended uploaders left in the artifact store."""

from __future__ import annotations

import contextlib

import structlog

from mltrail_core.artifacts import open_artifact_store

UNFINISHED_AFTER_S = 24 * 3600.0
"""An upload that got no byte for a day has no living writer; one that has would lose its upload."""

logger: structlog.stdlib.BoundLogger = structlog.get_logger("mltrail.jobs")


def sweep_unfinished_uploads(artifacts_url: str, *, older_than_s: float = UNFINISHED_AFTER_S) -> int:
    """Remove uploads that got no byte for `older_than_s` seconds and return how many; idempotent.

    Raises:
        Unavailable: the store failed; what was removed stays removed.
    """
    with contextlib.closing(open_artifact_store(artifacts_url)) as store:
        swept = store.sweep_unfinished(older_than_s)
    logger.info("unfinished uploads swept", action="uploads_swept", swept=swept, older_than_s=older_than_s)
    return swept
