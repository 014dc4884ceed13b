"""However a process ends, its runs end with the status that is true, and what it logged is there."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import time
from pathlib import Path

import pytest

import mltrail
from tests.sdk.faulty_server import FaultyServer
from tests.sdk.projected import ProjectedLog, wait_for
from tests.sdk.script import Script


@pytest.mark.parametrize(
    ("ending", "exit_code", "status"),
    [
        ("pass", 0, "FINISHED"),
        ("sys.exit(0)", 0, "FINISHED"),
        ("sys.exit(3)", 3, "FAILED"),
        ("raise RuntimeError('diverged')", 1, "FAILED"),
        ("os.kill(os.getpid(), signal.SIGINT); time.sleep(30)", -signal.SIGINT, "KILLED"),
        ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)", 128 + signal.SIGTERM, "KILLED"),
    ],
)
@pytest.mark.parametrize("form", ["with", "call"])
def test_a_run_ends_with_the_status_that_is_true(
    folder: Path, tmp_path: Path, projected: ProjectedLog, form: str, ending: str, exit_code: int, status: str
) -> None:
    opening = "with mltrail.start_run() as run:" if form == "with" else "run = mltrail.start_run()\nif True:"
    if form == "call" and ending == "sys.exit(3)":
        status = "FINISHED"  # no exception is seen by the run, and exit codes are not visible to anyone in the process
    script = Script(
        tmp_path, str(folder), f"{opening}\n    print(run.id)\n    run.log_metric('loss', 1.0)\n    {ending}\n"
    )
    done = script.run()
    assert done.returncode == exit_code, done.stderr
    run_id = done.stdout.strip()
    row = projected.run(run_id)
    assert row["status"] == status
    assert row["ended_us"] is not None
    assert projected.values(run_id, "loss") == [1.0]
    assert projected.tags(run_id)["mltrail.entry_point"] == "train.py"
    projected.assert_complete(run_id)


def test_the_training_keeps_its_own_handler_of_sigterm(folder: Path, tmp_path: Path, projected: ProjectedLog) -> None:
    script = Script(
        tmp_path,
        str(folder),
        """
        signal.signal(signal.SIGTERM, lambda *_: print("checkpoint saved"))
        with mltrail.start_run() as run:
            print(run.id)
            os.kill(os.getpid(), signal.SIGTERM)
        """,
    )
    run_id, said = script.run().stdout.split("\n")[:2]
    assert said == "checkpoint saved"
    assert projected.run(run_id)["status"] == "FINISHED"


def test_a_sigterm_at_the_end_of_the_process_does_not_cut_its_last_words(
    folder: Path, tmp_path: Path, projected: ProjectedLog
) -> None:
    script = Script(
        tmp_path,
        str(folder),
        """
        run = mltrail.start_run()
        print(run.id)
        mltrail._fluent.current_session().before_close(lambda: os.kill(os.getpid(), signal.SIGTERM))
        run.log_metric("loss", 1.0)
        """,
    )
    done = script.run()
    assert done.returncode == 0, done.stderr
    run_id = done.stdout.strip()
    assert projected.run(run_id)["status"] == "FINISHED"
    projected.assert_complete(run_id)


def test_an_interrupted_notebook_goes_on_with_its_run(folder: Path, tmp_path: Path, projected: ProjectedLog) -> None:
    script = Script(
        tmp_path,
        str(folder),
        """
        import code
        sys.ps1 = "In : "  # as IPython does
        run = mltrail.start_run()
        print(run.id, flush=True)
        kernel = code.InteractiveInterpreter({"run": run, "os": os, "signal": signal, "time": time})
        kernel.runsource("os.kill(os.getpid(), signal.SIGINT); time.sleep(30)")
        kernel.runsource("run.log_metric('after the interrupt', 1.0)")
        """,
    )
    done = script.run()
    assert "KeyboardInterrupt" in done.stderr
    run_id = done.stdout.strip()
    assert projected.values(run_id, "after the interrupt") == [1.0]
    assert projected.run(run_id)["status"] == "FINISHED"
    projected.assert_complete(run_id)


def test_a_cancelled_task_leaves_a_killed_run(folder: Path, projected: ProjectedLog) -> None:
    ids = []

    async def train() -> None:
        with mltrail.start_run() as run:
            ids.append(run.id)
            await asyncio.sleep(60)

    async def cancel_it() -> None:
        task = asyncio.create_task(train())
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    mltrail.init(folder)
    asyncio.run(cancel_it())
    assert projected.run(ids[0])["status"] == "KILLED"


def test_a_git_tree_is_recorded_with_its_commit_and_whether_it_was_changed(
    folder: Path, tmp_path: Path, projected: ProjectedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLTRAIL_RECORD_CODE", "1")
    tree = tmp_path / "tree"
    tree.mkdir()
    script = Script(tree, str(folder), "with mltrail.start_run() as run:\n    print(run.id)\n")
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=trunk"]
    for arguments in (["init", "-q"], ["add", "train.py"], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", str(tree), *identity, *arguments], check=True)
    head = ["git", "-C", str(tree), "rev-parse", "HEAD"]
    commit = subprocess.run(head, capture_output=True, text=True, check=True).stdout.strip()
    clean = projected.tags(script.run().stdout.strip())
    assert clean["mlflow.source.git.commit"] == commit
    assert clean["mlflow.source.git.branch"] == "trunk"
    assert clean["mltrail.git.dirty"] == "false"
    script.path.write_text(script.path.read_text() + "# changed\n")
    assert projected.tags(script.run().stdout.strip())["mltrail.git.dirty"] == "true"


def test_the_exit_of_a_process_is_bounded_when_the_server_never_returns(
    faulty_server: FaultyServer, tmp_path: Path
) -> None:
    faulty_server.stop()
    script = Script(
        tmp_path,
        faulty_server.url,
        """
        mltrail.init(sys.argv[1] if len(sys.argv) > 1 else None, exit_timeout_s=0.5)
        run = mltrail.start_run()
        print(run.id)
        for step in range(100):
            run.log_metric("loss", 1.0, step)
        """.replace("sys.argv[1] if len(sys.argv) > 1 else None", repr(faulty_server.url)),
    )
    began = time.monotonic()
    done = script.run()
    assert time.monotonic() - began < 15
    assert done.returncode == 0
    assert f"100 metric points of run {done.stdout.strip()} could not be sent to {faulty_server.url}" in done.stderr


def test_a_killed_trainer_leaves_what_it_had_sent_and_no_declared_end(
    folder: Path, tmp_path: Path, projected: ProjectedLog
) -> None:
    script = Script(
        tmp_path,
        str(folder),
        """
        run = mltrail.start_run()
        run.log_metric("loss", 1.0)
        run.flush()
        print(run.id, flush=True)
        time.sleep(60)
        """,
    )
    process = script.start()
    assert process.stdout is not None
    run_id = process.stdout.readline().strip()
    process.kill()
    process.communicate()
    assert projected.values(run_id, "loss") == [1.0]
    assert projected.run(run_id)["status"] == "RUNNING"
    [row] = [r for r in projected.rows("producers") if r["run_id"] == run_id and r["partition"] != "control"]
    assert row["last_sequence"] is None


def test_data_leaves_within_the_flush_interval_without_any_call(folder: Path, projected: ProjectedLog) -> None:
    mltrail.init(folder)
    run = mltrail.start_run()
    run.log_metric("loss", 1.0)
    wait_for(lambda: bool(projected.rows("metric_blocks")), timeout_s=5)
    assert projected.values(run.id, "loss") == [1.0]
    run.end()
