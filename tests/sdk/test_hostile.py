"""Clocks that jump, values of all kinds, texts of all sizes and many threads, over HTTP and through the spool."""

from __future__ import annotations

import math
import random
import threading
import time
from pathlib import Path

import pytest

import mltrail
from mltrail._spool import spools_in
from tests.sdk.faulty_server import FaultyServer
from tests.sdk.projected import ProjectedLog


class TorchLike:
    """A scalar that converts as torch's do."""

    def __init__(self, value: float) -> None:
        self._value = value

    def __float__(self) -> float:
        return self._value


def test_values_of_all_kinds_survive_spool_and_wire(faulty_server: FaultyServer, projected: ProjectedLog) -> None:
    import numpy as np

    values = [math.nan, math.inf, -math.inf, 1e308, 5e-324, -0.0, np.float32(0.5), np.int64(3), TorchLike(2.5), True]
    mltrail.init(faulty_server.url)
    with mltrail.start_run() as run:
        for step, value in enumerate(values):
            run.log_metric("Größe/損失 .-:", value, step)  # type: ignore[arg-type]
    got = projected.values(run.id, "Größe/損失 .-:")
    assert [repr(value) for value in got] == [repr(float(value)) for value in values]  # type: ignore[arg-type]
    projected.assert_complete(run.id)


def test_a_clock_that_jumps_back_changes_times_and_loses_nothing(
    faulty_server: FaultyServer, projected: ProjectedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty_server.stop()
    mltrail.init(faulty_server.url, flush_interval_s=0.005)
    clock = {"now": time.time_ns()}
    monkeypatch.setattr("mltrail._run.time_ns", lambda: clock["now"])
    monkeypatch.setattr("mltrail_core.clock.time.time_ns", lambda: clock["now"])
    source = random.Random(3)
    with mltrail.start_run() as run:
        for step in range(300):
            clock["now"] += source.choice([1_000_000, -3_600_000_000_000])  # an hour back, again and again
            run.log_metric("loss", float(step), step)
        monkeypatch.undo()
        faulty_server.start()
    assert projected.values(run.id, "loss") == [float(step) for step in range(300)]
    projected.assert_complete(run.id)


def test_a_tag_of_10_mb_is_refused_at_the_call_and_an_artifact_of_10_mb_is_kept(
    faulty_server: FaultyServer, projected: ProjectedLog, tmp_path: Path
) -> None:
    text = "x" * 10_000_000
    file = tmp_path / "text.txt"
    file.write_text(text)
    mltrail.init(faulty_server.url)
    with mltrail.start_run() as run:
        with pytest.raises(ValueError, match="log_artifact keeps texts of any size"):
            run.set_tag("text", text)
        run.set_tag("after", "x" * 8000)
        run.log_artifact(file)
    assert "text" not in projected.tags(run.id)
    assert projected.tags(run.id)["after"] == "x" * 8000
    assert set(projected.artifacts(run.id)) >= {"text.txt"}
    projected.assert_complete(run.id)


@pytest.mark.parametrize("durability", ["batch", "sync"])
def test_64_threads_lose_nothing_while_the_server_is_away(
    faulty_server: FaultyServer, projected: ProjectedLog, tmp_path: Path, durability: str
) -> None:
    faulty_server.stop()
    mltrail.init(faulty_server.url, durability=durability)
    with mltrail.start_run() as run:

        def work(number: int) -> None:
            for step in range(10):
                run.log_metric(f"m{number}", float(step), step)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(spools_in(tmp_path / "spool")) == 1
        faulty_server.start()
    by_key: dict[str, list[float]] = {}
    for point in projected.points(run.id):
        by_key.setdefault(point.key, []).append(point.value)
    assert by_key == {f"m{number}": [float(step) for step in range(10)] for number in range(64)}
    assert mltrail._fluent.current_session().losses.counts() == {}
    projected.assert_complete(run.id)


def test_into_a_folder_durability_sync_returns_once_the_log_has_it(folder: Path, projected: ProjectedLog) -> None:
    mltrail.init(folder, durability="sync")
    run = mltrail.start_run()
    run.log_metric("loss", 1.0)
    assert projected.values(run.id, "loss") == [1.0]
    run.log_param("lr", 0.1)
    assert projected.params(run.id) == {"lr": "0.1"}
    run.end()
    assert mltrail._fluent.current_session().losses.counts() == {}
