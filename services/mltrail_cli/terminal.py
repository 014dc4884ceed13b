"""Where commands print: tables for people on stdout, JSON for machines, progress on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

_PIPE_COLUMNS = 200


def console() -> Console:
    """Return the console for what a command found; wide when nobody looks, so that pipes get whole lines."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_COLUMNS)


def print_json(answer: object) -> None:
    """Print one JSON document; NaN and ±Infinity are words in it, as in MLflow's protocol."""
    from mltrail_api.mlflow.wire import json_bytes  # not there on a trainer's machine, which has no use for it

    sys.stdout.write(json_bytes(answer).decode() + "\n")


def warn(message: str) -> None:
    """Say on stderr what does not end the command."""
    Console(stderr=True, highlight=False).print(f"[yellow]warning[/] {message}", soft_wrap=True)


def plain_table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """Return a table without vertical lines; `right` names the columns of numbers."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


@contextmanager
def progress_bar(*, is_quiet: bool = False) -> Iterator[Progress]:
    """Give a progress display on stderr that vanishes at the end; nothing is shown when nobody looks."""
    bars = Progress(
        TextColumn("[dim]{task.description}"),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=is_quiet or not sys.stderr.isatty(),
    )
    with bars:
        yield bars
