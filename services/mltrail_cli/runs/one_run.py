"""The run that a command is about, named by its id or by the beginning of it."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import Connection

from mltrail_api.pages.queries import run_ids_beginning
from mltrail_api.search.view import RunView, load_run, load_runs
from mltrail_core.errors import Invalid, NotFound

RunPrefix = Annotated[
    str, typer.Argument(metavar="RUN", help="The run's id, or as many of its first digits as tell it from others.")
]


def load_one_run(connection: Connection, prefix: str) -> RunView:
    """Return the run whose id begins with `prefix`.

    Raises:
        NotFound: there is none.
        Invalid: there are several.
    """
    run = load_run(connection, prefix)
    if run is not None:
        return run
    found = run_ids_beginning(connection, prefix, 2)
    if not found:
        raise NotFound(f"Run with id={prefix[:300]} not found; `mltrail runs list` shows those there are")
    if len(found) > 1:
        raise Invalid(f"several runs begin with {prefix!r}: {found[0]}, {found[1]} …; give more of the id")
    return load_runs(connection, found)[0]
