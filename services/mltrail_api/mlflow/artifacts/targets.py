"""Which path a file may be written to, and what a path shows to readers."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from mltrail_api.mlflow.artifacts.places import Place, find_place
from mltrail_api.mlflow.artifacts.queries import StoredFile, file_above, file_at, is_directory
from mltrail_api.mlflow.artifacts.uploads import note_arrivals
from mltrail_api.mlflow.endpoint import Caller
from mltrail_api.services import Services
from mltrail_api.visibility import EVENTUAL
from mltrail_core.errors import Invalid


@dataclass(frozen=True, slots=True)
class Target:
    """Where a file may go, and the user of its run, None when it is of no run."""

    place: Place
    user: str | None


async def find_target(services: Services, path: str) -> Target:
    """Return where a file may be written that the proxy's path names.

    Raises:
        NotFound, Invalid: as `target_at`.
    """
    return await target_at(services, await find_place(services, path))


async def target_at(services: Services, place: Place) -> Target:
    """Return the place as one that a file may be written to.

    Raises:
        NotFound: its run is not there.
        Invalid: it is the root of its owner, a directory or below a file, or its run is deleted.
    """
    if not place.path:
        raise Invalid(f"this path is the root of the artifacts of {place.owner}; name a file below it")
    user = (await services.run_states.writable(place.owner)).user if place.is_run else None

    def query(connection: Connection) -> tuple[str | None, bool]:
        above = file_above(connection, place.owner, place.path)
        return above, above is None and is_directory(connection, place.owner, place.path)

    # A path that is a file and a directory at once could be downloaded by no client.
    above, is_dir = (await services.visibility.read(query, EVENTUAL)).value
    if above is not None:
        raise Invalid(f"'{above[:300]}' is a file, so nothing can be stored below it; choose another path")
    if is_dir:
        raise Invalid(f"'{place.path[:300]}' is a directory, so no file can take its place; choose another path")
    return Target(place, user)


async def shown_file(services: Services, place: Place, caller: Caller) -> tuple[StoredFile | None, bool]:
    """Return the file that a path shows, or None and whether it is a directory."""
    await note_arrivals(services, place)

    def query(connection: Connection) -> tuple[StoredFile | None, bool]:
        file = file_at(connection, place.owner, place.path)
        return file, file is None and is_directory(connection, place.owner, place.path)

    return (await services.visibility.read(query, caller.asks_for(place.freshness))).value
