"""Where artifacts of the source are, in the words of MLflow, once they have been imported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mltrail_cli.importing.source import SourceRegistered


@dataclass(slots=True)
class Relocations:
    """What became of the artifact roots of those runs and logged models that the registry names."""

    wanted: frozenset[str] = frozenset()
    roots: dict[str, tuple[str, str]] = field(default_factory=dict)
    """For a run's or logged model's id: its root in the source, and here."""

    @classmethod
    def for_registry(cls, models: Iterable[SourceRegistered]) -> Relocations:
        """Return what will be told of the runs and logged models that these versions come from."""
        versions = (version for model in models for version in model.versions)
        return cls(frozenset(owner for one in versions for owner in (one.run_id, one.model_id) if owner is not None))

    def add(self, owner: str, old_root: str, experiment_id: str) -> None:
        """The owner's artifacts lie below `experiment_id` here."""
        if owner in self.wanted:
            below = f"models/{owner}" if owner.startswith("m-") else owner
            self.roots[owner] = (old_root.rstrip("/"), f"mlflow-artifacts:/{experiment_id}/{below}/artifacts")

    def relocated(self, uri: str, owners: Sequence[str | None]) -> str:
        """Return a URI below the root of one of the owners as it is here; any other as it was."""
        for owner in owners:
            old, new = self.roots.get(owner or "", ("", ""))
            if old and (uri == old or uri.startswith(old + "/")):
                return new + uri[len(old) :]
        return uri
