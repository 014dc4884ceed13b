"""The composition root: opens the log, the read model and the artifact store that the settings name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from mltrail_cli.event_lines import configure_event_lines
from mltrail_cli.settings import Settings
from mltrail_core.artifacts import ArtifactStore, open_artifact_store
from mltrail_core.errors import Unavailable
from mltrail_core.liveness import Liveness, open_liveness
from mltrail_core.log import EventLog, open_log
from mltrail_core.log.genesis import ensure_begun
from mltrail_core.readmodel.store import ReadModel, open_read_model


@dataclass(frozen=True, slots=True)
class Ports:
    """The three places that hold all there is, and the marks of who is alive."""

    log: EventLog
    read_model: ReadModel
    artifacts: ArtifactStore
    liveness: Liveness

    def close(self) -> None:
        """Release files and connections."""
        with contextlib.ExitStack() as closing:
            for port in (self.log, self.read_model, self.artifacts, self.liveness):
                closing.callback(port.close)


def open_ports(settings: Settings) -> Ports:
    """Open the log, the read model and the artifact store; what is not there yet begins, empty.

    Raises:
        Invalid: a URL names nothing that mltrail knows.
        Conflict: the log is of another format.
        Unavailable: a server can't be reached, or the folder can't be used.
    """
    if settings.uses_folder:
        try:
            settings.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"the data folder {settings.folder} can't be used: {error.strerror}") from error
    with contextlib.ExitStack() as opened:
        log = open_log(settings.log_location)
        opened.callback(log.close)
        ensure_begun(log)
        read_model = open_read_model(settings.read_model_location)
        opened.callback(read_model.close)
        artifacts = open_artifact_store(settings.artifacts_location, client_url=settings.artifacts_client_url)
        opened.callback(artifacts.close)
        liveness = open_liveness(settings.log_location)
        opened.pop_all()
    return Ports(log, read_model, artifacts, liveness)


@contextlib.contextmanager
def opened_ports(settings: Settings) -> Iterator[Ports]:
    """Give the ports to a command that ends, and close them then; only its warnings are written, to stderr."""
    configure_event_lines(warnings_only=True)
    ports = open_ports(settings)
    try:
        yield ports
    finally:
        ports.close()
