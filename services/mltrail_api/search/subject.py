"""What can be searched, and what may be asked about each of its columns, as in MLflow 3."""

from __future__ import annotations

from dataclasses import dataclass

from mltrail_api.search.expression import Comparator, Entity

_EQUALITY = (Comparator.EQUAL, Comparator.NOT_EQUAL)
TEXT_COMPARATORS = (*_EQUALITY, Comparator.LIKE, Comparator.ILIKE)
NUMBER_COMPARATORS = (
    *_EQUALITY,
    Comparator.LESS,
    Comparator.LESS_OR_EQUAL,
    Comparator.GREATER,
    Comparator.GREATER_OR_EQUAL,
)
KEYS_OF: dict[Entity, tuple[str, ...]] = {
    Entity.DATASET: ("name", "digest", "context"),
    Entity.MODEL: ("id", "input", "output", "name"),
}
"""What may be asked of things that have no keys of the user's own."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The columns of what is searched.

    Attributes:
        entities: what may stand before the dot of a column. A column without a dot is an attribute.
        attributes: the attributes, their other spellings among them, and what each means.
        order_attributes: the same for order_by.
        times: attributes that are times in ms, or other whole numbers; the others are text.
        listed_attributes: the attributes that may be compared with a list.
        present_entities: what IS NULL and IS NOT NULL may ask about.
        order_entities: what can be sorted by.
        is_whole: whether a time can only be compared with a whole number.
        has_lists: whether a list may follow every text, not just the attribute and datasets.
    """

    entities: dict[str, Entity]
    attributes: dict[str, str]
    order_attributes: dict[str, str]
    times: frozenset[str]
    listed_attributes: tuple[str, ...]
    present_entities: frozenset[Entity]
    order_entities: frozenset[Entity]
    is_whole: bool = False
    has_lists: bool = False

    def comparators(self, entity: Entity, key: str) -> tuple[Comparator, ...]:
        """Return what a column may be compared by, lists and presence aside."""
        if entity is Entity.METRIC or (entity is Entity.ATTRIBUTE and key in self.times):
            return NUMBER_COMPARATORS
        if entity is Entity.ATTRIBUTE and key == "experiment_id" and not self.has_lists:
            return _EQUALITY
        return TEXT_COMPARATORS

    def takes_list(self, entity: Entity, key: str) -> bool:
        """Return whether IN and NOT IN may follow a column."""
        if self.has_lists:
            return Comparator.LESS not in self.comparators(entity, key)
        return entity is Entity.DATASET or (entity is Entity.ATTRIBUTE and key in self.listed_attributes)


_RUN_ATTRIBUTES = {
    **{name: name for name in ("run_id", "run_name", "user_id", "status", "start_time", "end_time", "artifact_uri")},
    **dict.fromkeys(("created", "Created"), "start_time"),
}
_EXPERIMENT_ATTRIBUTES = {name: name for name in ("name", "experiment_id", "creation_time", "last_update_time")}

RUNS = Subject(
    entities={
        **dict.fromkeys(("metric", "metrics"), Entity.METRIC),
        **dict.fromkeys(("parameter", "parameters", "param", "params"), Entity.PARAM),
        **dict.fromkeys(("tag", "tags"), Entity.TAG),
        **dict.fromkeys(("attribute", "attributes", "attr", "run"), Entity.ATTRIBUTE),
        **dict.fromkeys(("dataset", "datasets"), Entity.DATASET),
    },
    attributes=_RUN_ATTRIBUTES | dict.fromkeys(("run name", "Run name", "Run Name"), "run_name"),
    order_attributes=_RUN_ATTRIBUTES,
    times=frozenset({"start_time", "end_time"}),
    listed_attributes=("run_id",),
    present_entities=frozenset({Entity.PARAM, Entity.TAG}),
    order_entities=frozenset({Entity.METRIC, Entity.PARAM, Entity.TAG, Entity.ATTRIBUTE}),
)

EXPERIMENTS = Subject(
    entities={"attribute": Entity.ATTRIBUTE, **dict.fromkeys(("tag", "tags"), Entity.TAG)},
    attributes=_EXPERIMENT_ATTRIBUTES,
    order_attributes=_EXPERIMENT_ATTRIBUTES,
    times=frozenset({"creation_time", "last_update_time"}),
    listed_attributes=("experiment_id",),
    present_entities=frozenset({Entity.TAG}),
    order_entities=frozenset({Entity.ATTRIBUTE}),
    is_whole=True,
)

_MODEL_ATTRIBUTES = {
    **{name: name for name in ("model_id", "name", "model_type", "status", "source_run_id", "experiment_id")},
    **dict.fromkeys(("creation_timestamp_ms", "creation_timestamp", "creation_time"), "creation_timestamp_ms"),
    **dict.fromkeys(("last_updated_timestamp_ms", "last_updated_timestamp"), "last_updated_timestamp_ms"),
}
LOGGED_MODELS = Subject(
    entities={
        "attributes": Entity.ATTRIBUTE,
        "metrics": Entity.METRIC,
        "params": Entity.PARAM,
        "tags": Entity.TAG,
    },
    attributes=_MODEL_ATTRIBUTES,
    order_attributes=_MODEL_ATTRIBUTES,
    times=frozenset({"creation_timestamp_ms", "last_updated_timestamp_ms"}),
    listed_attributes=("texts",),
    present_entities=frozenset({Entity.PARAM, Entity.TAG}),
    order_entities=frozenset({Entity.METRIC, Entity.ATTRIBUTE}),
    has_lists=True,
)

_REGISTRY_ENTITIES = {"attribute": Entity.ATTRIBUTE, **dict.fromkeys(("tag", "tags"), Entity.TAG)}
REGISTERED_MODELS = Subject(
    entities=_REGISTRY_ENTITIES,
    attributes={"name": "name"},
    order_attributes={
        "name": "name",
        **dict.fromkeys(("timestamp", "last_updated_timestamp"), "last_updated_timestamp"),
    },
    times=frozenset(),
    listed_attributes=("name",),
    present_entities=frozenset(),
    order_entities=frozenset({Entity.ATTRIBUTE}),
)
MODEL_VERSIONS = Subject(
    entities=_REGISTRY_ENTITIES,
    attributes={name: name for name in ("name", "version_number", "run_id", "source_path")},
    order_attributes={
        name: name for name in ("name", "version_number", "creation_timestamp", "last_updated_timestamp")
    },
    times=frozenset({"version_number"}),
    listed_attributes=("name", "run_id"),
    present_entities=frozenset(),
    order_entities=frozenset({Entity.ATTRIBUTE}),
    is_whole=True,
)
