"""Over HTTP everything arrives exactly once, whatever the server and the network do meanwhile."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

import mltrail
from mltrail._settings import parse_destination
from mltrail._transport import open_transport
from mltrail_core.errors import Unavailable
from tests.sdk.faulty_server import Fault, FaultyServer
from tests.sdk.projected import ProjectedLog, wait_for


def test_a_run_over_http_arrives(faulty_server: FaultyServer, projected: ProjectedLog) -> None:
    mltrail.init(faulty_server.url)
    with mltrail.start_run(experiment="iris") as run:
        run.log_param("lr", 0.1)
        run.log_metric("loss", 0.5, 1)
    assert projected.params(run.id) == {"lr": "0.1"}
    assert projected.values(run.id, "loss") == [0.5]
    assert projected.run(run.id)["status"] == "FINISHED"
    projected.assert_complete(run.id)


@pytest.mark.parametrize("fault", ["429", "503", "500", "dropped before", "dropped after"])
def test_a_fault_costs_no_point_and_doubles_none(
    faulty_server: FaultyServer, projected: ProjectedLog, fault: Fault
) -> None:
    faulty_server.faults.extend([fault, fault])
    mltrail.init(faulty_server.url)
    with mltrail.start_run() as run:
        for step in range(1000):
            run.log_metric("loss", float(step), step)
    assert not faulty_server.faults
    assert projected.values(run.id, "loss") == [float(step) for step in range(1000)]
    projected.assert_complete(run.id)


def test_random_faults_cost_no_point_and_double_none(faulty_server: FaultyServer, projected: ProjectedLog) -> None:
    random_source = random.Random(7)
    kinds: list[Fault] = ["429", "503", "dropped before", "dropped after"]
    mltrail.init(faulty_server.url, flush_interval_s=0.01)
    with mltrail.start_run(experiment="storm") as run:
        for step in range(60):
            faulty_server.faults.append(random_source.choice(kinds))
            run.log_metric("loss", float(step), step)
            run.log_param(f"p{step}", step)
            time.sleep(0.002)  # so that the records are many, not to wait for anything
        faulty_server.faults.clear()
    assert projected.values(run.id, "loss") == [float(step) for step in range(60)]
    assert projected.params(run.id) == {f"p{step}": str(step) for step in range(60)}
    assert set(faulty_server.answered) > {"ok"}
    projected.assert_complete(run.id)


def test_a_server_that_goes_away_and_returns_gets_everything(
    faulty_server: FaultyServer, projected: ProjectedLog, caplog: pytest.LogCaptureFixture
) -> None:
    mltrail.init(faulty_server.url, flush_interval_s=0.01)
    with mltrail.start_run() as run:
        run.log_metric("loss", 0.0, 0)
        assert run.flush()
        faulty_server.stop()
        slowest_s = 0.0
        for step in range(1, 2000):
            began = time.perf_counter()
            run.log_metric("loss", float(step), step)
            slowest_s = max(slowest_s, time.perf_counter() - began)
        wait_for(lambda: "nothing can be sent" in caplog.text)
        assert not run.flush(0.05)
        faulty_server.start()
    assert slowest_s < 0.5  # a bound on waiting for the network, which would take seconds; not a benchmark
    assert projected.values(run.id, "loss") == [float(step) for step in range(2000)]
    assert "can be reached again" in caplog.text
    projected.assert_complete(run.id)


def test_on_a_slow_link_records_are_compressed(
    faulty_server: FaultyServer, projected: ProjectedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    mltrail.init(faulty_server.url)
    with mltrail.start_run() as run:
        monkeypatch.setattr("mltrail._transport.compression._SLOW_BYTES_PER_S", 0)
        run.log_series("loss", range(5000), [0.5] * 5000)
        assert run.flush()
        assert faulty_server.encodings == {None}
        monkeypatch.setattr("mltrail._transport.compression._SLOW_BYTES_PER_S", 1 << 60)
        run.log_series("acc", range(5000), [0.5] * 5000)
        assert run.flush()
    assert faulty_server.encodings == {None, "gzip"}
    assert len(projected.values(run.id, "loss")) == len(projected.values(run.id, "acc")) == 5000
    projected.assert_complete(run.id)


def test_a_run_can_start_before_its_server(faulty_server: FaultyServer, projected: ProjectedLog) -> None:
    faulty_server.stop()
    mltrail.init(faulty_server.url)
    with mltrail.start_run(experiment="early") as run:
        run.log_param("lr", 0.1)
        faulty_server.start()
    assert projected.params(run.id) == {"lr": "0.1"}
    projected.assert_complete(run.id)


def test_the_end_of_a_run_is_bounded_when_the_server_never_returns(
    faulty_server: FaultyServer, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    faulty_server.stop()
    mltrail.init(faulty_server.url, exit_timeout_s=0.4)
    began = time.monotonic()
    with mltrail.start_run() as run:
        run.log_metric("loss", 1.0)
    assert time.monotonic() - began < 10
    assert "not all of it could be sent" in caplog.text
    began = time.monotonic()
    mltrail._fluent.current_session().close(0.4)
    assert time.monotonic() - began < 10
    said = capsys.readouterr().err
    assert f"of run {run.id} could not be sent to {faulty_server.url} yet, and are kept in" in said
    assert "mltrail sync" in said


def test_one_refused_record_does_not_hold_up_the_others(
    faulty_server: FaultyServer, projected: ProjectedLog, caplog: pytest.LogCaptureFixture
) -> None:
    mltrail.init(faulty_server.url, flush_interval_s=0.01)
    with mltrail.start_run() as run:
        assert run.flush()
        faulty_server.faults.append("400")
        run.log_metric("refused", 1.0)
        assert run.flush()
        run.log_metric("taken", 1.0)
    assert {point.key for point in projected.points(run.id)} == {"taken"}
    assert "records refused by the server" in caplog.text
    [row] = [row for row in projected.rows("producers") if row["run_id"] == run.id]
    assert "," in str(row["intervals"])  # the hole is there for everyone to see


def test_a_proxy_that_takes_no_large_body_costs_no_artifact(faulty_server: FaultyServer, tmp_path: Path) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(b"w" * 1000)
    faulty_server.faults.append("413")
    transport = open_transport(parse_destination(faulty_server.url))
    try:
        with pytest.raises(Unavailable, match="413"):
            transport.store(file)
        assert transport.store(file).size_bytes == 1000
    finally:
        transport.close()


def test_an_address_that_is_no_mltrail_server_keeps_the_data(
    faulty_server: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    mltrail.init(faulty_server.url + "/wrong", exit_timeout_s=0.2)
    with mltrail.start_run() as run:
        run.log_metric("loss", 1.0)
    wait_for(lambda: "answered 404" in caplog.text)
    assert mltrail._fluent.current_session().outbox.kept().point_count == 1
