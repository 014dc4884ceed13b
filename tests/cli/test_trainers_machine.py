"""`mltrail` where only what a trainer needs is installed: it sends what trainings left, and names the rest."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

from tests.cli.command import environment

WITHOUT_SERVER_PARTS = """
import importlib.util, sys
absent = {"sqlalchemy", "fastapi", "structlog", "pydantic_settings", "boto3", "rq", "lark", "uvicorn", "starlette"}

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in absent else found(name, package)
from mltrail_cli.__main__ import main
main()
"""


def without_server_parts(*words: str, state: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_SERVER_PARTS, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment(XDG_STATE_HOME=str(state)),
    )


def test_sync_needs_no_server_parts_and_other_commands_say_what_to_install(tmp_path: Path) -> None:
    assert importlib.util.find_spec("sqlalchemy") is not None  # else the test would prove nothing
    spool = tmp_path / "spool"
    spool.mkdir()
    synced = without_server_parts("sync", str(spool), "--json", state=tmp_path)
    assert (synced.returncode, synced.stdout.strip()) == (0, '{"spools": []}'), synced.stderr
    helped = without_server_parts("--help", state=tmp_path)
    assert "sync" in helped.stdout
    assert "rebuild" not in helped.stdout
    refused = without_server_parts("runs", "list", state=tmp_path)
    assert refused.returncode == 1
    assert "pip install 'mltrail[server]'" in refused.stderr
