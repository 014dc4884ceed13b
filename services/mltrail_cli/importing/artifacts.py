"""Which files of a run or logged model are missing here, and how they get into the artifact store."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlalchemy import select

from mltrail_api.mlflow.artifacts.paths import media_type_of
from mltrail_cli.importing.source import FilesUnreachable, Source, SourceFile, SourceModel, SourceRun
from mltrail_cli.importing.tally import Tally
from mltrail_core.artifacts import ArtifactStore
from mltrail_core.events import ArtifactStored
from mltrail_core.readmodel.store import ReadModel
from mltrail_core.readmodel.tables import artifacts
from mltrail_core.rules import path_fault


def missing_files(
    source: Source, owner: SourceRun | SourceModel, owner_id: str, read_model: ReadModel, tally: Tally
) -> Iterator[SourceFile]:
    """Yield the files that the read model has not, or has in another size; `tally` is told of each."""
    query = select(artifacts.c.path, artifacts.c.size_bytes).where(artifacts.c.owner == owner_id)
    with read_model.reading() as connection:
        here = dict(connection.execute(query).all())
    try:
        for file in source.files(owner):
            tally.count("artifacts")
            tally.count("artifact bytes", file.size_bytes)
            if here.get(file.path) != file.size_bytes:
                tally.lacks("artifacts")
                tally.lacks("artifact bytes", file.size_bytes)
                yield file
    except FilesUnreachable as unreachable:
        tally.problems.append(f"artifacts of {owner_id}: {unreachable}")


def store_file(
    source: Source,
    owner: SourceRun | SourceModel,
    owner_id: str,
    file: SourceFile,
    store: ArtifactStore,
    progress: Callable[[int], None],
) -> ArtifactStored:
    """Stream a file into the store, and return the event that says so once the bytes are durable under their hash.

    Raises:
        FilesUnreachable: it could not be read whole, or its path is one that no artifact may have.
    """
    fault = path_fault(file.path)
    if fault is not None:
        raise FilesUnreachable(fault)

    def chunks() -> Iterator[bytes]:
        for chunk in source.read_file(owner, file.path):
            progress(len(chunk))
            yield chunk

    with store.writer() as writer:
        for chunk in chunks():
            writer.write(chunk)
        if writer.size_bytes != file.size_bytes:
            raise FilesUnreachable(
                f"{file.path!r} was listed with {file.size_bytes} bytes and gave {writer.size_bytes}; import again"
            )
        blob = writer.commit()
    at_us = owner.started_us if isinstance(owner, SourceRun) else owner.created_us
    return ArtifactStored(at_us, owner_id, file.path, blob.size_bytes, blob.sha256, media_type_of(file.path))
