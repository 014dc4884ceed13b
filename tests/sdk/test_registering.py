"""The registry is changed from a training: over every kind of place, in order, and with the outcome that is true."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import mltrail
from mltrail._reader.published import published_api_url
from mltrail_core.errors import NotFound, Unavailable
from mltrail_core.ids import new_producer_id
from tests.sdk.faulty_server import FaultyServer
from tests.sdk.projected import ProjectedLog
from tests.sdk.real_server import real_server


@pytest.fixture(scope="module")
def http_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real API on a folder."""
    folder = tmp_path_factory.mktemp("http")
    with real_server(str(folder / "log"), folder) as url:
        yield url


@pytest.fixture(params=["http", "redis"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where to log to: a real API on a folder, or the Redis log of one."""
    if request.param == "http":
        yield request.getfixturevalue("http_url")
    else:
        redis_url: str = request.getfixturevalue("redis_url")
        with real_server(redis_url, tmp_path / "data"):
            yield redis_url


def test_versions_are_numbered_in_the_order_of_their_calls_and_go_through_stages_and_aliases(
    uri: str, tmp_path: Path
) -> None:
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"w" * 1000)
    mltrail.init(uri)
    name = f"order {uri.partition(':')[0]}"
    with mltrail.start_run(experiment="iris") as run:
        run.log_artifact(weights, "model")
        pending = [mltrail.register_model("model", name, description=f"number {n}") for n in (1, 2, 3)]
        assert [outcome.result() for outcome in pending] == [1, 2, 3]
        assert pending[0].result() == 1  # asked again
    mltrail.transition_stage(name, 1, "production")
    mltrail.transition_stage(name, 2, "Production", archive_existing_versions=True)
    mltrail.set_alias(name, "champion", 2)
    mltrail.set_alias(name, "gone", 1)
    mltrail.delete_alias(name, "gone").result()
    found = _model(uri, name)
    assert found["stages"] == {"Archived": [1], "None": [3], "Production": [2]}
    assert found["aliases"] == {"champion": 2}
    version = _asked(uri, f"/api/v1/registry/{name}/versions/2")
    assert (version["source"], version["run_id"]) == (f"runs:/{run.id}/model", run.id)
    assert version["description"] == "number 2"


def test_a_change_that_the_registry_rejects_raises_with_its_reason(http_url: str) -> None:
    mltrail.init(http_url)
    with pytest.raises(NotFound, match="stage 'Staging' of version 1 of 'nobody'"):
        mltrail.transition_stage("nobody", 1, "Staging").result()
    run_id = "0" * 31 + "1"
    assert mltrail.register_model(f"runs:/{run_id}/model", "rejections", tags={"team": "vision"}).result() == 1
    with pytest.raises(NotFound):
        mltrail.set_alias("rejections", "champion", 7).result()
    rejected = mltrail.transition_stage("rejections", 9, "Staging")
    for _ in range(2):
        with pytest.raises(NotFound, match="version 9"):
            rejected.result()
    assert "rejected" in repr(rejected)
    assert _model(http_url, "rejections")["versions"] == [1]
    assert mltrail.delete_alias("rejections", "never-set").result() is None


def test_outcomes_are_awaited_without_blocking_the_loop(http_url: str) -> None:
    mltrail.init(http_url)
    beats: list[float] = []

    async def beat() -> None:
        while True:
            beats.append(0.0)
            await asyncio.sleep(0.001)

    async def register() -> list[int]:
        beating = asyncio.create_task(beat())
        pending = [mltrail.register_model(f"runs:/{n:032x}/model", "awaited") for n in range(3)]
        numbers = [await outcome for outcome in pending]
        beating.cancel()
        return numbers

    assert asyncio.run(register()) == [1, 2, 3]
    assert len(beats) > 1


def test_into_a_folder_the_command_line_tells_the_outcome(folder: Path) -> None:
    mltrail.init(folder)
    with mltrail.start_run():
        version = mltrail.register_model("model", "iris")
    assert version.result() == 1


def test_an_outcome_that_is_not_known_in_time_can_be_asked_again(
    faulty_server: FaultyServer, projected: ProjectedLog
) -> None:
    faulty_server.stop()
    mltrail.init(faulty_server.url, flush_interval_s=0.01)
    version = mltrail.register_model(f"runs:/{1:032x}/model", "iris")
    with pytest.raises(Unavailable):
        version.result(timeout_s=0.2)
    assert "on its way" in repr(version)
    faulty_server.start()
    assert mltrail._fluent.current_session().flush(None, _deadline(20))
    [row] = projected.rows("model_versions")
    assert (row["name"], row["version"]) == ("iris", 1)


def test_offline_a_version_waits_in_the_spool_and_says_how_it_is_sent() -> None:
    mltrail.init("http://127.0.0.1:9", offline=True)
    version = mltrail.register_model(f"runs:/{1:032x}/model", "iris")
    with pytest.raises(Unavailable, match="mltrail sync"):
        version.result(timeout_s=5.0)


def test_a_repeated_record_is_one_version(faulty_server: FaultyServer, projected: ProjectedLog) -> None:
    mltrail.init(faulty_server.url)
    faulty_server.faults.extend(["dropped after", "dropped after"])
    mltrail.register_model(f"runs:/{1:032x}/model", "iris")
    assert mltrail._fluent.current_session().flush(None, _deadline(20))
    assert not faulty_server.faults
    assert [row["version"] for row in projected.rows("model_versions")] == [1]
    assert projected.rows("rejections") == []


def test_a_record_that_nobody_sent_is_pending(http_url: str) -> None:
    answer = _asked(http_url, f"/api/v1/producers/{new_producer_id()}/records/1/outcome")
    assert answer == {"state": "pending", "rejections": [], "version": None}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: mltrail.register_model("model", "iris"), "no run is active"),
        (lambda: mltrail.register_model("/tmp/model", "iris"), "on this machine"),
        (lambda: mltrail.register_model("file:///tmp/model", "iris"), "on this machine"),
        (lambda: mltrail.register_model("runs:/abc", "iris"), "expected runs:/<run id>/<path>"),
        (lambda: mltrail.register_model("runs:/abc/../x", "iris"), "artifact"),
        (lambda: mltrail.register_model("models:/iris/1", "iris"), "no logged model"),
        (lambda: mltrail.register_model("runs:/abc/model", "a/b"), "cannot contain '/'"),
        (lambda: mltrail.register_model("runs:/abc/model", "iris", tags={"": "x"}), "key is empty"),
        (lambda: mltrail.register_model("runs:/abc/model", "iris", run_id="other"), "not of the run"),
        (lambda: mltrail.transition_stage("iris", 0, "Staging"), "count from 1"),
        (lambda: mltrail.transition_stage("iris", 1, "50%"), "no name of a stage"),
        (lambda: mltrail.transition_stage("iris", 1, "archived", archive_existing_versions=True), "can't be archived"),
        (lambda: mltrail.set_alias("iris", "latest", 1), "reserved"),
        (lambda: mltrail.set_alias("iris", "a b", 1), "Invalid alias name"),
    ],
)
def test_arguments_that_are_not_valid_raise_at_the_call(folder: Path, call: object, said: str) -> None:
    mltrail.init(folder)
    assert callable(call)
    with pytest.raises(ValueError, match=said):
        call()


def test_a_version_that_is_no_number_raises_at_the_call(folder: Path) -> None:
    mltrail.init(folder)
    with pytest.raises(TypeError, match=r"register_model\(…\)\.result\(\)"):
        mltrail.set_alias("iris", "champion", "1")  # type: ignore[arg-type]


def _model(uri: str, name: str) -> dict[str, object]:
    return _asked(uri, f"/api/v1/registry/{name}")


def _asked(uri: str, path: str) -> dict[str, object]:
    url = uri if uri.startswith("http") else published_api_url(uri)
    answer = httpx.get(url + path)
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


def _deadline(seconds: float) -> float:
    return time.monotonic() + seconds
