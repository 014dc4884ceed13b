"""Whose artifacts a path of the `mlflow-artifacts` proxy names: a run's, a logged model's, or nobody's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, select

from mltrail_api.services import Services
from mltrail_api.visibility import EVENTUAL, RUN_BOUND_S, Freshness
from mltrail_core.events.artifact import LOOSE_FILES
from mltrail_core.events.home import artifact_subject
from mltrail_core.ids import RUN_PARTITIONS, Partition, partition_of
from mltrail_core.readmodel.tables import logged_models, runs


@dataclass(frozen=True, slots=True)
class Place:
    """A path of an owner; "" is the owner's root. `is_run` says that the owner is a run."""

    owner: str
    path: str
    is_run: bool = False

    @property
    def partition(self) -> Partition:
        """Where the events about this path go."""
        return partition_of(artifact_subject(self.owner, self.path))

    @property
    def freshness(self) -> Freshness:
        """What a read of the path and all below it waits for."""
        if self.owner == LOOSE_FILES:
            return Freshness(RUN_PARTITIONS, RUN_BOUND_S)
        return Freshness((self.partition,), RUN_BOUND_S)


async def find_place(services: Services, path: str) -> Place:
    """Return whose path this is: `(…/)<run id>/artifacts/(…)` the run's, `(…/)models/<model id>/artifacts/(…)` the
    logged model's, the leftmost when there are several; of `files` when neither exists."""
    candidates = [owner for owner, _ in _candidates(path)]
    if not candidates:
        return Place(LOOSE_FILES, path)
    seen = await services.visibility.read(lambda connection: _place(connection, path), EVENTUAL)
    if seen.value is None:
        barrier = Freshness({partition_of(owner) for owner in candidates}, RUN_BOUND_S)
        seen = await services.visibility.read(lambda connection: _place(connection, path), barrier)
    return seen.value or Place(LOOSE_FILES, path)


def path_of_uri(uri: str) -> str | None:
    """Return the proxy's path in an `mlflow-artifacts:` URI, None for any other."""
    scheme, _, rest = uri.partition(":")
    if scheme != "mlflow-artifacts":
        return None
    if rest.startswith("//"):
        rest = rest[2:].partition("/")[2]
    return rest.partition("?")[0].strip("/")


def _candidates(path: str) -> Iterator[tuple[str, str]]:
    parts = path.split("/")
    for number in range(len(parts) - 1):
        if parts[number + 1] == "artifacts":
            yield parts[number], "/".join(parts[number + 2 :])


def _place(connection: Connection, path: str) -> Place | None:
    candidates = list(_candidates(path))
    owners = {owner for owner, _ in candidates}
    known_runs = set(connection.execute(select(runs.c.run_id).where(runs.c.run_id.in_(owners))).scalars())
    models = {owner for owner in owners if f"models/{owner}/artifacts" in path}
    known_models = set(
        connection.execute(select(logged_models.c.model_id).where(logged_models.c.model_id.in_(models))).scalars()
        if models
        else ()
    )
    for owner, rest in candidates:
        if owner in known_runs:
            return Place(owner, rest, is_run=True)
        if owner in known_models:
            return Place(owner, rest)
    return None
