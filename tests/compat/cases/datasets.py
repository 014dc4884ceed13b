"""Datasets and models that runs read and produced: log-inputs, outputs, search-datasets, filters on datasets."""

from __future__ import annotations

from tests.compat.script import Call, Case, Group, case, get, post
from tests.compat.supersets import CHECKED_KEYS

_DATASETS = "/ajax-api/2.0/mlflow/experiments/search-datasets"
_UNKNOWN = "0" * 32


def _dataset(name: str, digest: str = "d1", context: str | None = None, **more: object) -> dict[str, object]:
    tags = [] if context is None else [{"key": "mlflow.data.context", "value": context}]
    return {"tags": tags, "dataset": {
        "name": name, "digest": digest, "source_type": "local", "source": "{\"uri\": \"a\"}", **more}}  # fmt: skip


def _inputs(run: str, *datasets: object, **more: object) -> Call:
    return post("/runs/log-inputs", {"run_id": run, "datasets": list(datasets), **more})


def _search(filter_string: str) -> Case:
    return case(
        f"runs with {filter_string}", post("/runs/search", {"experiment_ids": ["{exp}"], "filter": filter_string})
    )


_RUN = post("/runs/create", {"experiment_id": "{exp2}", "run_name": "r", "start_time": 5}, run="run.info.run_id")
_SHOW = get("/runs/get", {"run_id": "{run}"})
_MODEL = post("/logged-models", {"experiment_id": "{exp2}", "name": "m"}, model="model.info.model_id")

GROUP = Group(
    "datasets",
    (
        post("/experiments/create", {"name": "data {unique}"}, exp="experiment_id"),
        post("/experiments/create", {"name": "more data {unique}"}, exp2="experiment_id"),
        post("/experiments/create", {"name": "no data {unique}"}, exp3="experiment_id"),
        post("/runs/create", {"experiment_id": "{exp}", "run_name": "a", "start_time": 5}, a="run.info.run_id"),
        post("/runs/create", {"experiment_id": "{exp}", "run_name": "b", "start_time": 6}, b="run.info.run_id"),
        _inputs("{a}", _dataset("iris", context="training"), _dataset("wine", "d2")),
        _inputs("{b}", _dataset("iris", context="eval"), _dataset("Iris", "d3", "training")),
    ),
    (
        case("search-datasets", post(_DATASETS, {"experiment_ids": ["{exp}"]})),
        case("search-datasets of two", post(_DATASETS, {"experiment_ids": ["{exp}", "{exp3}"]})),
        case("search-datasets where there are none", post(_DATASETS, {"experiment_ids": ["{exp3}"]})),
        case("search-datasets of an unknown experiment", post(_DATASETS, {"experiment_ids": ["987654321"]})),
        case("search-datasets of no experiment", post(_DATASETS, {"experiment_ids": []})),
        case("search-datasets without experiments", post(_DATASETS, {})),
        case("search-datasets of 21", post(_DATASETS, {"experiment_ids": [str(n) for n in range(21)]})),
        case("search-datasets of a word", post(_DATASETS, {"experiment_ids": ["x"]})),
        case("search-datasets of a text", post(_DATASETS, {"experiment_ids": "0"})),
        case("search-datasets under the client's prefix", post("/experiments/search-datasets", {
            "experiment_ids": ["{exp}"]}), superset="served under both prefixes; stock has it for its pages only"),
        *map(_search, (
            "dataset.name = 'iris'", "datasets.name = 'wine'", "dataset.name != 'iris'", "dataset.name LIKE 'i%'",
            "dataset.name ILIKE 'I%'", "dataset.digest = 'd2'", "dataset.digest IN ('d2', 'd3')",
            "dataset.name IN ('wine', 'x')", "dataset.name NOT IN ('iris')", "dataset.context = 'training'",
            "dataset.context != 'training'", "dataset.context = 'eval' AND dataset.name = 'iris'",
            "dataset.name = 'iris' AND dataset.digest = 'd3'", "dataset.context LIKE 'e%'", "dataset.name > 'a'",
            "dataset.nobody = 'a'", "dataset.name = 3",
        )),
        case("inputs", _RUN, _inputs("{run}", _dataset("x", context="training", schema="[]", profile="{}")), _SHOW),
        case("inputs said again", _RUN, _inputs("{run}", _dataset("again")), _inputs("{run}",
             _dataset("again")), _SHOW),
        case("inputs said again as something else", _RUN, _inputs("{run}", _dataset("again", context="training")),
             _inputs("{run}", _dataset("again", context="eval", schema="[]")), _SHOW),
        case("inputs said twice at once", _RUN, _inputs("{run}", _dataset("twice", context="training"),
             _dataset("twice", context="eval")), _SHOW),
        case("inputs with tags", _RUN, _inputs("{run}", {
            "dataset": {"name": "x", "digest": "d", "source_type": "s", "source": "t"},
            "tags": [{"key": "a", "value": "1"}, {"key": "b", "value": ""}]}), _SHOW),
        case("inputs without tags", _RUN, _inputs("{run}", {
            "dataset": {"name": "x", "digest": "d", "source_type": "s", "source": "t"}}), _SHOW),
        case("inputs of nothing", _RUN, _inputs("{run}"), _SHOW),
        case("inputs of an unknown run", _inputs(_UNKNOWN, _dataset("x"))),
        case("inputs without a run", post("/runs/log-inputs", {"datasets": [_dataset("x")]})),
        case("inputs without a name", _RUN, _inputs("{run}", {"dataset": {"digest": "d"}}), superset=CHECKED_KEYS),
        case("inputs with a long name", _RUN, _inputs("{run}", _dataset("x" * 501))),
        case("inputs with a long digest", _RUN, _inputs("{run}", _dataset("x", "d" * 37))),
        case("inputs with a long tag", _RUN, _inputs("{run}", _dataset("x", context="c" * 501))),
        case("inputs that are no list", _RUN, post("/runs/log-inputs", {"run_id": "{run}", "datasets": "a"})),
        case("a model as input", _RUN, _MODEL, post("/runs/log-inputs", {
            "run_id": "{run}", "models": [{"model_id": "{model}"}]}), _SHOW),
        case("a model as output", _RUN, _MODEL, post("/runs/outputs", {
            "run_id": "{run}", "models": [{"model_id": "{model}", "step": 3}]}), _SHOW),
        case("a model as output of no step", _RUN, _MODEL, post("/runs/outputs", {
            "run_id": "{run}", "models": [{"model_id": "{model}"}]}), _SHOW),
        case("outputs of nothing", _RUN, post("/runs/outputs", {"run_id": "{run}", "models": []})),
        case("outputs of an unknown run", post("/runs/outputs", {
            "run_id": _UNKNOWN, "models": [{"model_id": "m-1", "step": 0}]})),
        case("outputs without a run", post("/runs/outputs", {"models": [{"model_id": "m-1"}]})),
        case("outputs without models", _RUN, post("/runs/outputs", {"run_id": "{run}"})),
    ),
)  # fmt: skip
