"""`mltrail sync` sends what trainings left, says what it did, and tells by its status whether something is left."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.cli.command import mltrail
from tests.servers import free_port

_TRAIN = """
import sys, mltrail
mltrail.init(sys.argv[1], offline=True, spool=sys.argv[2])
with mltrail.start_run(experiment="away", name="far") as run:
    run.log_metric("loss", 0.5, 1)
    run.log_artifact(sys.argv[0])
print(run.id)
"""


def test_what_an_offline_training_left_is_sent_once_its_server_is_there(tmp_path: Path) -> None:

    spool, data, script = tmp_path / "spool", tmp_path / "data", tmp_path / "train.py"
    script.write_text(_TRAIN)
    url = f"http://127.0.0.1:{free_port()}"
    done = subprocess.run([sys.executable, script, url, spool], capture_output=True, text=True, timeout=60, check=True)
    run_id = done.stdout.strip()
    assert f"mltrail sync {spool}" in done.stderr

    looked = mltrail("sync", spool, "--dry-run", "--json")
    assert looked.status == 0
    reports = looked.json()["spools"]
    assert isinstance(reports, list)
    [report] = reports
    assert report["run_ids"] == [run_id]
    assert (report["left_points"], report["destination"]) == (1, url)

    away = mltrail("sync", spool, "--wait", "0")
    assert away.status == 1
    assert "can't be reached" in away.err
    assert re.search(rf"{run_id}\s+{report['left_events']}\s+1\s+3\s+left", away.out), away.out

    sent = mltrail("sync", spool, "--to", data)
    assert sent.status == 0
    assert run_id in sent.out
    shown = mltrail("runs", "show", run_id, "--data", data)
    assert "FINISHED" in shown.out
    assert list((data / "artifacts" / "blobs").rglob("*"))

    again = mltrail("sync", spool)
    assert (again.status, again.out.strip()) == (0, f"nothing is spooled in {spool}")
