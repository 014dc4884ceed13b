"""`mltrail server` as a process: how soon it answers, what it says, how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
import urllib.request
from pathlib import Path

import pytest
import redis

from mltrail_core.log import open_log
from tests.cli.command import ServerCommand, mltrail, mltrail_process, server, wait_until_in
from tests.servers import free_port

HEALTH_S = 6.0
"""Two seconds is the goal on an idle machine; tests share theirs with others."""


def test_health_is_answered_before_the_application_is_loaded(tmp_path: Path) -> None:
    with server(tmp_path, has_to_load=True) as running:
        assert running.get("/health") == b"OK"
        health_s = time.monotonic() - running.started
        assert "mltrail" not in running.out  # the greeting comes when all is loaded
        running.get("/version")
        assert health_s < HEALTH_S
        assert running.signal(signal.SIGTERM) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_what_was_acknowledged_is_there(tmp_path: Path, number: int) -> None:
    with server(tmp_path) as running:
        body = json.dumps({"name": "kept"}).encode()
        running.get("/version")
        create = urllib.request.Request(f"{running.url}/api/2.0/mlflow/experiments/create", body)
        with urllib.request.urlopen(create, timeout=30) as answer:
            assert answer.status == 200
        assert running.signal(number) == 0
        assert "Traceback" not in running.err
    found = mltrail("experiments", "list", "--data", tmp_path / "data", "--json").json()
    assert "kept" in json.dumps(found)


@pytest.mark.thorough
def test_a_signal_while_it_loads_ends_it_cleanly(tmp_path: Path) -> None:
    with server(tmp_path, has_to_load=True) as running:
        running.get("/health")
        assert running.signal(signal.SIGTERM) == 0
        assert "Traceback" not in running.err


def test_it_says_where_data_is_what_durability_holds_and_how_to_use_it(tmp_path: Path) -> None:
    with server(tmp_path) as running:
        wait_until_in("Ctrl-C", running)
        wait_until_in("server_started", running)
        assert running.url in running.out
        assert str(tmp_path / "data") in running.out
        assert "fsync" in running.out
        assert f"export MLFLOW_TRACKING_URI={running.url}" in running.out
        assert f"export MLTRAIL_URI={running.url}" in running.out
        started = [json.loads(line) for line in running.err.splitlines() if "server_started" in line]
        assert [(line["url"], line["durability"]) for line in started] == [(running.url, "fsync")]
        log = open_log(str(tmp_path / "data" / "log"))
        assert log.published("api_url") == running.url
        log.close()


def test_a_given_port_that_is_taken_is_an_error_that_names_it(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = mltrail_process("server", "--data", tmp_path / "data", "--port", str(port))
    assert done.status == 1
    assert f"port {port} of 127.0.0.1 is taken" in done.err
    assert "Traceback" not in done.err


def test_a_taken_default_port_gives_the_next_free_one(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # whoever has it already serves the test as well
            taken.bind(("127.0.0.1", 5000))
            taken.listen()
        running = ServerCommand("server", "--data", tmp_path / "data", port=5001, folder=tmp_path)
        try:
            wait_until_in("port 5000 was taken", running)
            assert "http://127.0.0.1:50" in running.out
            assert running.signal(signal.SIGTERM) == 0
        finally:
            running.process.kill()
            running.process.wait()


def test_a_log_that_can_not_be_reached_ends_it_with_a_message(tmp_path: Path) -> None:
    done = mltrail_process(
        "server",
        "--data",
        tmp_path / "data",
        "--log-url",
        f"redis://:secret@127.0.0.1:{free_port()}/0",
        "--port",
        str(free_port()),
    )
    assert done.status == 1
    assert done.err.splitlines()[-1].startswith("mltrail: ")
    assert "Traceback" not in done.err
    assert "secret" not in done.err


def test_settings_come_from_the_environment_and_flags_win(tmp_path: Path) -> None:
    port = free_port()
    running = ServerCommand(
        "server",
        "--port",
        str(port),
        port=port,
        folder=tmp_path,
        MLTRAIL_DATA=str(tmp_path / "elsewhere"),
        MLTRAIL_PORT="1",
    )
    try:
        wait_until_in(str(tmp_path / "elsewhere"), running)
        assert running.signal(signal.SIGTERM) == 0
    finally:
        running.process.kill()
        running.process.wait()


def test_a_setting_without_sense_is_named() -> None:
    done = mltrail_process("server", MLTRAIL_ROLE="queen")
    assert done.status == 1
    assert "MLTRAIL_ROLE is 'queen'" in done.err
    assert "--workers is 0" in mltrail_process("server", "--workers", "0").err


def test_several_workers_answer_and_one_that_is_killed_is_replaced(tmp_path: Path) -> None:
    with server(tmp_path, "--workers", "2") as running:
        running.get("/version")
        wait_until_in("Ctrl-C", running)
        workers = _children(running.process.pid)
        assert len(workers) == 2
        give_up = time.monotonic() + 40
        os.kill(workers[0], signal.SIGKILL)
        while len(set(_children(running.process.pid)) - {workers[0]}) < 2:
            assert time.monotonic() < give_up
            time.sleep(0.05)
        running.get("/version")
        assert running.signal(signal.SIGTERM) == 0
        assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    with server(tmp_path, "--workers", "2") as running:
        running.get("/version")
        workers = _children(running.process.pid)
        running.signal(signal.SIGKILL)
        give_up = time.monotonic() + 30
        while any(_is_alive(worker) for worker in workers):
            assert time.monotonic() < give_up
            time.sleep(0.05)


def test_a_projector_in_a_process_of_its_own_is_replaced_when_killed_and_ends_with_its_parent(tmp_path: Path) -> None:
    with server(tmp_path, "--background", "process") as running:
        running.get("/version")
        wait_until_in("Ctrl-C", running)
        [first] = _children(running.process.pid)
        assert f"{first} projects" in running.out
        _create_experiment(running, "before")
        os.kill(first, signal.SIGKILL)
        give_up = time.monotonic() + 40
        while not (others := set(_children(running.process.pid)) - {first}):
            assert time.monotonic() < give_up
            time.sleep(0.05)
        assert "child_died" in running.err
        give_up = time.monotonic() + 40
        _create_experiment(running, "after")
        while b"after" not in running.get("/api/2.0/mlflow/experiments/search?max_results=10"):
            assert time.monotonic() < give_up
            time.sleep(0.05)
        running.signal(signal.SIGKILL)
        give_up = time.monotonic() + 30
        while any(_is_alive(other) for other in others):
            assert time.monotonic() < give_up
            time.sleep(0.05)


@pytest.mark.thorough
def test_ctrl_c_reaches_the_process_that_answers_and_it_ends_the_other(tmp_path: Path) -> None:
    with server(tmp_path, "--background", "process") as running:
        wait_until_in("Ctrl-C", running)
        [child] = _children(running.process.pid)
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(child, number)  # as a terminal and a service manager do: the whole group is told
        assert running.signal(signal.SIGINT) == 0
        assert not _is_alive(child)
        assert "Traceback" not in running.err
        assert "child_died" not in running.err


def _create_experiment(running: ServerCommand, name: str) -> None:
    create = urllib.request.Request(
        f"{running.url}/api/2.0/mlflow/experiments/create", json.dumps({"name": name}).encode()
    )
    with urllib.request.urlopen(create, timeout=30) as answer:
        assert answer.status == 200


def test_roles_alone_serve_one_folder_together(tmp_path: Path) -> None:
    port = free_port()
    api_folder, projector_folder = tmp_path / "api", tmp_path / "projector"
    api_folder.mkdir()
    projector_folder.mkdir()
    data = ("--data", tmp_path / "data")
    api = ServerCommand("server", *data, "--role", "api", "--port", str(port), port=port, folder=api_folder)
    projector = ServerCommand("server", *data, "--role", "projector", port=port, folder=projector_folder)
    try:
        api.get("/version")
        wait_until_in("read model", projector)
        body = json.dumps({"name": "made"}).encode()
        create = urllib.request.Request(f"{api.url}/api/2.0/mlflow/experiments/create", body)
        with urllib.request.urlopen(create, timeout=30) as answer:
            experiment_id = json.load(answer)["experiment_id"]
        assert b"made" in api.get(f"/api/2.0/mlflow/experiments/get?experiment_id={experiment_id}")
        assert api.signal(signal.SIGTERM) == 0
        assert projector.signal(signal.SIGINT) == 0
        assert "Traceback" not in projector.err + api.err
    finally:
        for running in (api, projector):
            running.process.kill()
            running.process.wait()


def test_ui_takes_the_places_that_mlflow_ui_takes(tmp_path: Path) -> None:
    port = free_port()
    running = ServerCommand(
        "ui",
        "--backend-store-uri",
        "sqlite:///mlflow.db",
        "--default-artifact-root",
        "./files",
        "--port",
        str(port),
        port=port,
        folder=tmp_path,
    )
    try:
        wait_until_in("Ctrl-C", running)
        assert str(tmp_path / "mlflow.mltrail") in running.out
        assert str(tmp_path / "files") in running.out
        assert running.signal(signal.SIGTERM) == 0
    finally:
        running.process.kill()
        running.process.wait()
    refused = mltrail_process("ui", "--backend-store-uri", "mysql://root@host/db", cwd=tmp_path)
    assert refused.status == 1
    assert "mysql://" in refused.err


def _children(process_id: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process_id and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return sorted(found)


def _is_alive(process_id: int) -> bool:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_it_serves_from_redis_and_postgresql_and_warns_of_a_log_in_memory(
    tmp_path: Path, redis_url: str, postgres_url: str
) -> None:
    places = ("--log-url", redis_url, "--store-url", postgres_url)
    with contextlib.closing(redis.Redis.from_url(redis_url)) as client:
        before = str(client.config_get("appendfsync")["appendfsync"])
        client.config_set("appendfsync", "everysec")
        try:
            with server(tmp_path, *places) as running:
                wait_until_in("Ctrl-C", running)
                assert "memory" in running.out
                assert "warning" in running.out
                assert "appendfsync always" in running.out
                assert b'"Default"' in running.get("/api/2.0/mlflow/experiments/get?experiment_id=0")
                assert running.signal(signal.SIGTERM) == 0
                assert "Traceback" not in running.err
        finally:
            client.config_set("appendfsync", before)
    listed = mltrail("experiments", "list", *places, "--json", cwd=tmp_path)
    assert "Default" in listed.out, listed.err
