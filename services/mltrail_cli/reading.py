"""Ports whose read model tells the truth: it has projected what the log held when the command began."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mltrail_cli.composition import Ports, opened_ports
from mltrail_cli.settings import Settings
from mltrail_cli.terminal import progress_bar, warn
from mltrail_core.errors import Unavailable
from mltrail_projector.loop import Halted, catch_up


@contextmanager
def current_ports(settings: Settings) -> Iterator[Ports]:
    """Give the ports after projecting what the log holds, with a bar when that takes long.

    A projector may work on the same read model: each record is projected once all the same.

    Raises:
        LogDiffers: the log is not the one that was projected; a rebuild is needed.
        MltrailError: as `open_ports`.
    """
    with opened_ports(settings) as ports:
        project_all(ports)
        yield ports


def project_all(ports: Ports) -> None:
    """Project what the log holds; where a partition is halted, go on with a warning that says so."""
    total = sum(ports.log.heads().values())
    with progress_bar() as bars:
        task = bars.add_task("projecting the log", total=total, visible=total > 2000)
        try:
            catch_up(ports.log, ports.read_model, progress=lambda done: bars.update(task, completed=done))
        except TimeoutError as error:
            raise Unavailable(str(error)) from error
        except Halted as error:
            warn(str(error))
