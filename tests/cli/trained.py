"""A data folder that the SDK wrote with no server, as the command line finds it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.cli.command import environment

REPORT = "all is well\n"
_SCRIPT = """
import math, sys, mltrail
mltrail.init(sys.argv[1], record_code=False, record_environment=False)
with mltrail.start_run(experiment="vision", name="first <b>") as run:
    run.log_params({"lr": 0.1, "model": "svm"})
    for step in range(5):
        run.log_metric("loss", 1 / (step + 1), step=step)
    run.log_metric("odd", math.nan)
    run.set_tag("team", "red")
    run.set_tag("team", "blue")
    run.log_param("lr", 0.2)
    run.log_artifact(sys.argv[2], "reports")
with mltrail.start_run(experiment="vision", name="second") as other:
    other.log_param("lr", 0.3)
    other.log_metric("loss", 0.01, step=1)
print(run.id, other.id)
"""


@dataclass(frozen=True, slots=True)
class TrainedFolder:
    """The folder and its two runs in the experiment `vision`; one event of the first run is rejected."""

    data: Path
    first: str
    second: str


def trained_folder(folder: Path) -> TrainedFolder:
    """Return a new data folder below `folder`, with what the script above logs."""
    report = folder / "report.txt"
    report.write_text(REPORT)
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(folder / "data"), str(report)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=environment(),
    )
    first, second = done.stdout.split()
    return TrainedFolder(folder / "data", first, second)
