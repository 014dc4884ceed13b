"""Artifacts, as they are and as they were, and uploads past the server on their way to become some.

What a path shows stands in `artifacts`, or in `unverified_artifacts` until its upload is hashed, never in both.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table

from mltrail_core.readmodel.tables.columns import METADATA, TEXT, id_column, us_column

artifacts = Table(
    "artifacts",
    METADATA,
    id_column("owner", primary_key=True),  # run id, logged model id, or `files`
    Column("path", TEXT, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    id_column("sha256"),
    Column("media_type", TEXT, nullable=True),
    us_column("stored_us"),
    Index("artifacts_by_blob", "sha256"),
)

artifact_versions = Table(  # what a path held before and since, deletions included
    "artifact_versions",
    METADATA,
    id_column("owner", primary_key=True),
    Column("path", TEXT, primary_key=True),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("size_bytes", BigInteger, nullable=True),
    id_column("sha256", nullable=True),  # NULL: deleted
    us_column("stored_us"),
    Column("actor", TEXT, nullable=False),
)

unverified_artifacts = Table(  # what a path shows that was uploaded past the server and that nobody has hashed yet
    "unverified_artifacts",
    METADATA,
    id_column("owner", primary_key=True),
    Column("path", TEXT, primary_key=True),
    id_column("upload_id"),
    Column("size_bytes", BigInteger, nullable=False),
    Column("media_type", TEXT, nullable=True),
    us_column("uploaded_us"),
)

artifact_uploads = Table(  # every upload past the server, and what became of it
    "artifact_uploads",
    METADATA,
    id_column("owner", primary_key=True),
    Column("path", TEXT, primary_key=True),
    id_column("upload_id", primary_key=True),
    id_column("state"),  # begun → uploaded → verified, or begun → abandoned
    id_column("method"),  # multipart, or put: one file
    us_column("began_us"),
    us_column("expires_us"),
    us_column("changed_us"),  # when it came to its state
    Column("actor", TEXT, nullable=False),  # who began it
    Column("index", BigInteger, nullable=True),  # of the event that said it is uploaded
    Column("number", Integer, nullable=True),
    Column("size_bytes", BigInteger, nullable=True),
    Column("etag", TEXT, nullable=True),
    id_column("sha256", nullable=True),
    Column("verified_index", BigInteger, nullable=True),  # of the event that said its hash
    Column("verified_number", Integer, nullable=True),
    Index("artifact_uploads_by_state", "state", "changed_us"),
    Index("artifact_uploads_by_id", "upload_id"),
)
