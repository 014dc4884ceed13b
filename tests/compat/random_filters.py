"""Runs, filters and orders at random, for comparing the searches of two servers."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from tests.compat.script import Call, post

RUNS = 12
_WORDS = ("", "a", "A", "ab", "aB", "b", "a_b", "a%b", "10", "9")
_KEYS = ("x", "a b")
_NUMBERS = (0.0, -1.5, 2.0, 1e-3, 1e300)
_STATUSES = ("RUNNING", "FINISHED", "FAILED")

_text = st.sampled_from([word.replace("%", "_") for word in _WORDS])
_comparator = st.sampled_from(["=", "!=", "LIKE", "ILIKE"])
_pattern = st.sampled_from(["a%", "%b", "A_", "%", "_", "ab", "%a%"])
_number_comparator = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
_key = st.sampled_from(_KEYS).map(lambda key: f"`{key}`")
_keyed_text = st.builds("{}.{}".format, st.sampled_from(["params", "tags", "param", "tag"]), _key)
_texts = _keyed_text | st.sampled_from(["attributes.status", "run_name", "user_id", "status", "dataset.name"])
_comparison = st.one_of(
    st.builds("{} {} '{}'".format, _texts, _comparator, _text | _pattern),
    st.builds("metrics.{} {} {}".format, _key, _number_comparator, st.sampled_from(_NUMBERS)),
    st.builds("{} {} {}".format, st.sampled_from(["start_time", "end_time"]), _number_comparator, st.integers(0, 20)),
    st.builds("{} IS {}NULL".format, _keyed_text, st.sampled_from(["", "NOT "])),
)
filters = st.lists(_comparison, min_size=1, max_size=3).map(" AND ".join)
orders = st.lists(
    st.builds(
        "{} {}".format,
        st.builds("{}.{}".format, st.sampled_from(["metrics", "params", "tags"]), _key)
        | st.sampled_from(["end_time", "status", "run_name"]),
        st.sampled_from(["ASC", "DESC"]),
    ),
    max_size=2,
    unique_by=lambda order: order.rsplit(" ", 1)[0],
)


def random_runs(seed: int) -> tuple[Call, ...]:
    """Return the calls that make the same random runs on every server, in the experiment `{exp}`."""
    chosen = random.Random(seed)
    calls = [post("/experiments/create", {"name": "random {unique}"}, exp="experiment_id")]
    for number in range(RUNS):
        calls += _random_run(chosen, number)
    return tuple(calls)


def _random_run(chosen: random.Random, number: int) -> list[Call]:
    name = f"run{number:05}"
    run_id = f"{{{name}}}"
    created = {"experiment_id": "{exp}", "run_name": name, "user_id": chosen.choice(_WORDS), "start_time": number}
    metrics = [{"key": key, "value": chosen.choice(_NUMBERS), "timestamp": 1} for key in _KEYS if chosen.random() < 0.7]
    logged = {"run_id": run_id, "metrics": metrics, "params": _pairs(chosen), "tags": _pairs(chosen)}
    status = chosen.choice(_STATUSES)
    ended = {} if status == "RUNNING" else {"end_time": chosen.randint(0, 20)}
    dataset = {"name": chosen.choice(_WORDS[1:]), "digest": "d", "source_type": "s", "source": "s"}
    return [
        post("/runs/create", created, **{name: "run.info.run_id"}),
        post("/runs/log-batch", logged),
        post("/runs/log-inputs", {"run_id": run_id, "datasets": [{"dataset": dataset}]}),
        post("/runs/update", {"run_id": run_id, "status": status, **ended}),
    ]


def _pairs(chosen: random.Random) -> list[dict[str, str]]:
    return [{"key": key, "value": chosen.choice(_WORDS)} for key in _KEYS if chosen.random() < 0.7]
