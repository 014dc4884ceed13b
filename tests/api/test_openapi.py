"""Whatever our own OpenAPI lets a client send, the server never fails: a bounded run of schemathesis that is always the
same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgpack
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mltrail_api.mlflow.routes import whole_table
from tests.api.mlflow_routes import same_form
from tests.api.running import RunningApi
from tests.thorough import examples

if TYPE_CHECKING:  # it takes a second to import, which every process would have to that collects tests
    from schemathesis import Case
    from schemathesis.schemas import APIOperation, BaseSchema

    AnyCase = Case[Any]
    AnyOperation = APIOperation[Any, Any, Any, Any]

EXAMPLES = examples(2, 3)
"""Of each operation. With 60, and 60 more that schemathesis made not to fit, none made the server fail either."""
WRONG: tuple[Any, ...] = ("x" * 5000, -1, 2**70, [], {}, [{}], True, "\0", "../..", "NaN", 1e308)


def _packed(context: object, value: object) -> bytes:
    """Send what was made up as it is, or packed."""
    packed = value if isinstance(value, bytes) else msgpack.packb(value, default=repr)
    assert isinstance(packed, bytes)
    return packed


@dataclass(frozen=True, slots=True)
class Known:
    """What exists: random names alone would only ever be told that nothing is there."""

    fields: dict[str, Any]

    def put_into(self, case: AnyCase) -> None:
        """Say what exists wherever the request has a field of that name."""
        for part in (case.path_parameters, case.query, case.body):
            if isinstance(part, dict):
                part.update({name: value for name, value in self.fields.items() if name in part})


@pytest.fixture(scope="module")
def schema(api: RunningApi) -> BaseSchema:
    import schemathesis

    schemathesis.serializer("application/msgpack")(_packed)
    return schemathesis.openapi.from_url(f"{api.url}/api/v1/openapi.json")


@pytest.fixture
def known(api: RunningApi, request: pytest.FixtureRequest) -> Known:
    name = request.node.name
    experiment_id = api.create_experiment(name)
    run_id = api.create_run(experiment_id)
    api.post("/runs/log-metric", {"run_id": run_id, "key": "loss", "value": 1, "timestamp": 1}).raise_for_status()
    model = api.post("/logged-models", {"experiment_id": experiment_id, "name": "net", "source_run_id": run_id}).json()
    model_id = model["model"]["info"]["model_id"]
    api.post("/registered-models/create", {"name": name})
    source = {"name": name, "source": f"models:/{model_id}", "model_id": model_id}
    api.post("/model-versions/create", source).raise_for_status()
    api.post("/registered-models/alias", {"name": name, "alias": "best", "version": "1"}).raise_for_status()
    files = f"{api.url}/api/2.0/mlflow-artifacts/artifacts/{experiment_id}"
    api.client.put(f"{files}/{run_id}/artifacts/notes.txt", content=b"a").raise_for_status()
    api.client.put(f"{files}/models/{model_id}/artifacts/notes.txt", content=b"a").raise_for_status()
    tag = {"key": "loss", "value": "1"}
    api.post("/runs/set-tag", {"run_id": run_id, **tag}).raise_for_status()
    return Known({
        "run_id": run_id, "run_ids": [run_id], "experiment_id": experiment_id, "experiment_ids": [experiment_id],
        "model_id": model_id, "status": "FINISHED", "new_name": f"{name}, renamed", "user": "ann", "sha256": "0" * 64,
        "name": name, "version": "1", "alias": "best", "metric_key": "loss", "model": name, "key": "loss",
        "timestamp": 1, "tag_key": "loss", "stage": "Staging", "source": f"models:/{model_id}", "path": "notes.txt",
        "stages": ["None"], "order_by": [], "filter": "", "max_results": 7, "page_token": "", "keys": ["loss"],
    })  # fmt: skip


def operations(schema: BaseSchema) -> Iterator[AnyOperation]:
    from schemathesis.core.result import Ok

    for found in schema.get_all_operations():
        assert isinstance(found, Ok), f"the document is wrong: {found}"
        yield found.ok()


def test_every_endpoint_is_described(schema: BaseSchema) -> None:
    described = {(operation.method.upper(), same_form(operation.path)) for operation in operations(schema)}
    routed = {(method, same_form(path)) for method, path in whole_table()}
    assert {(method, path) for method, path in routed if method != "HEAD" and "/ajax-api/" not in path} <= described
    assert ("GET", "/api/v1/runs/{}/delivery") in described


def test_nothing_that_is_sent_makes_the_server_fail(schema: BaseSchema, known: Known) -> None:
    told = defaultdict[str, set[int]](set)
    failed: list[str] = []
    for operation in sorted(operations(schema), key=_ends_something):
        _try_out(operation, known, told[operation.label], failed)
    assert failed == []
    missed = [label for label, statuses in told.items() if not statuses & {200, 204}]
    assert len(missed) < len(told) / 2, f"hardly anything was tried out: {missed}"


def _ends_something(operation: AnyOperation) -> bool:
    """Return whether others are to go first: they need what this one deletes, renames or revokes."""
    return operation.method == "delete" or any(word in operation.path for word in ("/delete", "/rename", "/update"))


def _try_out(operation: AnyOperation, known: Known, told: set[int], failed: list[str]) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), number=st.integers(0, 99))
    def send(case: AnyCase, number: int) -> None:
        if number < 60:
            known.put_into(case)
        elif number < 80:
            _spoil(case, number)
        status = case.call(timeout=20).status_code
        told.add(status)
        if status >= 500 and status != 501:  # which is MLflow's word for what this artifact store can't do
            failed.append(f"{status}: {case.as_curl_command()}")

    send()


def _spoil(case: AnyCase, number: int) -> None:
    """Put what no field takes into one of them. (schemathesis makes such requests up as well, at 0.2 s each.)"""
    fields = [(part, name) for part in (case.body, case.query) if isinstance(part, dict) for name in part]
    if fields:
        part, name = fields[number % len(fields)]
        part[name] = WRONG[number % len(WRONG)]
