"""Who writes and what is running, as the tags that MLflow's clients set and its UI shows."""

from __future__ import annotations

import getpass
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from mltrail._stream import Writer

USER = "mlflow.user"
SOURCE_NAME = "mlflow.source.name"
SOURCE_TYPE = "mlflow.source.type"
ENTRY_POINT = "mltrail.entry_point"


@dataclass(frozen=True, slots=True)
class Program:
    """What is running: the file, how it was entered, and the folder whose git tree it belongs to."""

    source_name: str
    entry_point: str
    folder: Path
    is_notebook: bool


def current_writer(rank: int) -> Writer:
    """Return who writes, in this process."""
    return Writer(user_name(), socket.gethostname(), os.getpid(), rank)


def user_name() -> str:
    """Return the name of the user; in a container whose user has no name, the number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # which of them depends on platform and version of Python
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"


def current_program() -> Program:
    """Return what is running."""
    main = sys.modules.get("__main__")
    if "ipykernel" in sys.modules:
        name = os.environ.get("JPY_SESSION_NAME", "notebook")  # set by Jupyter to the notebook's path
        return Program(name, name, Path.cwd(), is_notebook=True)
    file = getattr(main, "__file__", None)
    if file is None:
        name = "<stdin>" if sys.argv[:1] in ([""], ["-"], []) else sys.argv[0]
        return Program(name, "python -c" if sys.argv[:1] == ["-c"] else name, Path.cwd(), is_notebook=False)
    path = Path(file).absolute()
    module = getattr(main, "__spec__", None)
    entry_point = path.name if module is None else f"python -m {module.name.removesuffix('.__main__')}"
    return Program(str(path), entry_point, path.parent, is_notebook=False)


def program_tags(program: Program, user: str) -> dict[str, str]:
    """Return the tags that cost nothing to know."""
    return {
        USER: user,
        SOURCE_NAME: program.source_name,
        SOURCE_TYPE: "NOTEBOOK" if program.is_notebook else "LOCAL",
        ENTRY_POINT: program.entry_point,
    }
