"""What `import mltrail` offers, and what it does not load."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import mltrail
from tests.sdk import typed_use


def test_the_public_names_are_exactly_all() -> None:
    public = {name for name in vars(mltrail) if not name.startswith("_")}
    assert public - {"integrations"} == set(mltrail.__all__)  # a package of its own, there once somebody imports it


def test_all_public_names_carry_a_docstring() -> None:
    assert [name for name in mltrail.__all__ if not (getattr(mltrail, name).__doc__ or "").strip()] == []


def test_importing_loads_no_server_nor_what_only_a_transport_needs() -> None:
    heavy = ("redis", "sqlalchemy", "fastapi", "boto3", "rq", "httpx", "numpy", "sqlite3")
    program = f"import sys, mltrail; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_logging_into_a_folder_loads_no_server(tmp_path: object) -> None:
    heavy = ("redis", "sqlalchemy", "fastapi", "boto3", "rq", "httpx")
    program = (
        f"import sys, mltrail; mltrail.init({str(tmp_path)!r})\n"
        "with mltrail.start_run() as run: run.log_metric('loss', 1.0); run.log_series('acc', [1], [0.5])\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_starts_no_thread_and_changes_no_signal_handler() -> None:
    program = (
        "import signal, threading; before = signal.getsignal(signal.SIGTERM); import mltrail\n"
        "print(threading.active_count(), signal.getsignal(signal.SIGTERM) is before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "True"]


def test_a_training_whose_types_mypy_knows_runs_as_it_is_written(tmp_path: Path) -> None:
    run = typed_use.train(str(tmp_path / "data"))
    assert run.is_ended
    assert mltrail._fluent.current_session().losses.counts() == {}


def test_of_many_processes_only_the_first_says_where_data_goes(tmp_path: Path) -> None:
    program = (
        "import multiprocessing, mltrail\n"
        "def work(): mltrail.init()\n"
        "if __name__ == '__main__':\n"
        "    mltrail.init(); mltrail.init()\n"
        "    child = multiprocessing.get_context('spawn').Process(target=work); child.start(); child.join()\n"
    )
    script = tmp_path / "train.py"
    script.write_text(program)
    environment = os.environ | {"MLTRAIL_URI": str(tmp_path / "data")}
    for rank, lines in (("0", 1), ("1", 0)):
        done = subprocess.run(
            [sys.executable, str(script)], env=environment | {"RANK": rank}, capture_output=True, text=True, check=True
        )
        assert done.stderr.count("mltrail: logging to") == lines
