"""Training scripts that tests run in processes of their own, as people do."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path


class Script:
    """A training script, run by the real interpreter; it prints its run's id first."""

    def __init__(self, folder: Path, uri: str, body: str, *, exit_timeout_s: float = 5.0) -> None:
        self.path = folder / "train.py"
        header = (
            "import os, signal, sys, threading, time\nimport mltrail\n"
            f"mltrail.init({uri!r}, exit_timeout_s={exit_timeout_s!r})\n"
        )
        self.path.write_text(header + textwrap.dedent(body))

    def start(self) -> subprocess.Popen[str]:
        """Start it."""
        return subprocess.Popen(
            [sys.executable, str(self.path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run([sys.executable, str(self.path)], capture_output=True, text=True, timeout=60, check=False)
