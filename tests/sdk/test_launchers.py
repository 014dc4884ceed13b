"""Processes of torchrun, Slurm and MPI: each is known by the variables that its launcher documents."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from mltrail._recording import read_recording
from mltrail._settings import read_settings
from tests.sdk.projected import ProjectedLog, wait_for

_TORCHRUN = {
    "GROUP_RANK": "0",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
    "OMP_NUM_THREADS": "1",
    "ROLE_NAME": "default",
    "TORCHELASTIC_RESTART_COUNT": "0",
    "TORCHELASTIC_RUN_ID": "none",
    "WORLD_SIZE": "2",
}


@pytest.mark.parametrize(
    ("environment", "rank", "is_first_on_node"),
    [
        pytest.param(_TORCHRUN | {"RANK": "0", "LOCAL_RANK": "0", "ROLE_RANK": "0"}, 0, True, id="torchrun"),
        pytest.param(_TORCHRUN | {"RANK": "9", "LOCAL_RANK": "1", "GROUP_RANK": "4"}, 9, False, id="another node's"),
        pytest.param({"SLURM_PROCID": "5", "SLURM_LOCALID": "0", "SLURM_NODEID": "1"}, 5, True, id="srun"),
        pytest.param(
            {"SLURM_PROCID": "1", "SLURM_LOCALID": "0", "RANK": "3", "LOCAL_RANK": "1"}, 3, False, id="torchrun in srun"
        ),
        pytest.param({"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "2"}, 2, False, id="Open MPI"),
        pytest.param({"PMI_RANK": "6", "MPI_LOCALRANKID": "0"}, 6, True, id="MPICH"),
    ],
)
def test_a_launcher_says_who_a_process_is(environment: dict[str, str], rank: int, is_first_on_node: bool) -> None:
    recording = read_recording(environment)
    assert read_settings({"HOME": "/root"} | environment).rank == rank
    assert recording.is_launched
    assert recording.is_first_on_node is is_first_on_node


_BEGIN = """
    import os, signal, sys, time
    from pathlib import Path
    import mltrail

    id_file, rank = Path("id"), int(os.environ["RANK"])
    if rank == 0:
        run = mltrail.start_run(experiment="resnet")
        Path("writing").write_text(run.id)
        Path("writing").rename(id_file)
    else:
        while not id_file.exists():
            time.sleep(0.01)
        run = mltrail.start_run(run_id=id_file.read_text())
    for step in range(20):
        run.log_metric(f"rank {rank}/loss", 1.0 / (step + 1), step)
"""
"""As with torch.distributed, but for the broadcast."""


def _torchrun(folder: Path, rest: str) -> list[subprocess.Popen[str]]:
    script = folder / "train.py"
    script.write_text(textwrap.dedent(_BEGIN + rest))
    environment = os.environ | _TORCHRUN | {"MLTRAIL_URI": str(folder / "data")}
    return [
        subprocess.Popen(
            [sys.executable, str(script)],
            env=environment | {"RANK": rank, "LOCAL_RANK": rank},
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]


def test_two_ranks_write_one_run_each_as_its_own_producer(tmp_path: Path, projected: ProjectedLog) -> None:
    said = [process.communicate(timeout=60)[1] for process in _torchrun(tmp_path, "")]
    run_id = (tmp_path / "id").read_text()
    assert said[0].startswith("mltrail: logging to the folder")
    assert said[1] == ""
    assert projected.run(run_id)["status"] == "FINISHED"
    for rank in (0, 1):
        assert projected.values(run_id, f"rank {rank}/loss") == [1.0 / (step + 1) for step in range(20)]
    writers = {(row["producer"], row["rank"]) for row in projected.rows("producers") if row["run_id"] == run_id}
    assert len(writers) == 2
    assert {rank for _, rank in writers} == {0, 1}
    projected.assert_complete(run_id, producer_count=2)


def test_a_rank_that_fails_leaves_the_end_of_the_run_to_rank_0(tmp_path: Path, projected: ProjectedLog) -> None:
    rest = """
    if rank == 1:
        raise RuntimeError("out of memory")
    Path("waits").touch()
    time.sleep(60)
    """
    first, second = _torchrun(tmp_path, rest)
    assert "out of memory" in second.communicate(timeout=60)[1]
    wait_for((tmp_path / "waits").exists)
    first.send_signal(signal.SIGTERM)  # as torchrun does then
    first.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (128 + signal.SIGTERM, 1)
    run_id = (tmp_path / "id").read_text()
    assert projected.run(run_id)["status"] == "KILLED"
    assert len(projected.values(run_id, "rank 1/loss")) == 20
    projected.assert_complete(run_id, producer_count=2)
