"""What a run records by itself: the code, the environment, the machine while it goes on, and the console."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest

import mltrail
from mltrail._arguments_shown import shown_arguments
from mltrail._console import HEAD_CHARACTERS, TAIL_CHARACTERS, Console, ConsoleLog
from mltrail._git import MAX_DIFF_BYTES, git_diff, git_tags
from mltrail._gpus import found_gpus, nvml
from mltrail._recording import read_recording
from mltrail._system_metrics import Load, SystemMetrics, read_proc
from mltrail_core.artifacts import open_artifact_store
from tests.sdk.projected import ProjectedLog, wait_for
from tests.sdk.real_server import real_server
from tests.sdk.script import Script

IDENTITY = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=trunk")


def text_of(folder: Path, projected: ProjectedLog, run_id: str, path: str) -> str:
    store = open_artifact_store(str(folder / "artifacts"))
    try:
        with store.open(str(projected.artifacts(run_id)[path])) as stream:
            return stream.read().decode()
    finally:
        store.close()


def git(tree: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(tree), *IDENTITY, *arguments], check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A git tree with one commit."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "train.py").write_text("lr = 1\n")
    git(tree, "init", "-q")
    git(tree, "add", ".")
    git(tree, "commit", "-q", "-m", "first")
    return tree


# -- code


def test_the_diff_of_a_changed_tree_applies_to_its_commit(tree: Path) -> None:
    assert git_diff(tree) is None
    assert git_tags(tree)["mltrail.git.dirty"] == "false"
    (tree / "train.py").write_text("lr = 2\n")
    diff = git_diff(tree)
    assert diff is not None
    git(tree, "checkout", "-q", "--", "train.py")
    subprocess.run(["git", "-C", str(tree), "apply"], input=diff, check=True)
    assert (tree / "train.py").read_text() == "lr = 2\n"


def test_a_diff_is_bounded_and_says_where_it_was_cut(tree: Path) -> None:
    (tree / "train.py").write_text("".join(f"x{n} = {n}\n" for n in range(MAX_DIFF_BYTES // 8)))
    diff = git_diff(tree)
    assert diff is not None
    assert len(diff) <= MAX_DIFF_BYTES + 100
    assert diff.splitlines()[-1].startswith(b"# cut: ")
    assert diff.splitlines()[-2].startswith(b"+x")


def test_the_origin_is_recorded_without_its_password(tree: Path) -> None:
    git(tree, "remote", "add", "origin", "https://ann:hunter2@example.org/team/repo.git")
    assert git_tags(tree)["mlflow.source.git.repoURL"] == "https://example.org/team/repo.git"


def test_outside_of_git_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert git_tags(tmp_path) == {}
    assert git_diff(tmp_path) is None


def test_a_run_of_a_script_keeps_its_code_environment_and_console(
    tree: Path, folder: Path, projected: ProjectedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLTRAIL_RECORD_CODE", "1")
    monkeypatch.setenv("MLTRAIL_RECORD_ENVIRONMENT", "1")
    monkeypatch.setenv("MLTRAIL_CONSOLE", "1")
    monkeypatch.setenv("SECRET_IN_THE_ENVIRONMENT", "hunter2")
    script = Script(
        tree,
        str(folder),
        """
        import logging
        logging.basicConfig(level="INFO")
        run = mltrail.start_run()
        print(run.id)
        logging.info("one epoch")
        sys.stderr.write("diverged\\n")
        """,
    )
    arguments = [sys.executable, str(script.path), "--api-key", "hunter2", "--lr", "0.1"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True)
    run_id = done.stdout.strip()
    tags, artifacts = projected.tags(run_id), projected.artifacts(run_id)
    assert tags["mltrail.git.dirty"] == "true"
    assert tags["mltrail.arguments"] == "--api-key '***' --lr 0.1"
    assert tags["mltrail.python"] == ".".join(map(str, sys.version_info[:3]))
    assert set(artifacts) == {f"mltrail/{name}" for name in (
        "git.diff", "requirements.txt", "machine.json", "console.log",
    )}  # fmt: skip
    assert "+run = mltrail.start_run()" in text_of(folder, projected, run_id, "mltrail/git.diff")
    packages = text_of(folder, projected, run_id, "mltrail/requirements.txt").splitlines()
    assert f"numpy=={metadata.version('numpy')}" in packages
    machine = json.loads(text_of(folder, projected, run_id, "mltrail/machine.json"))
    assert machine["cpu_count"] == os.cpu_count()
    assert machine["gpus"] == []
    console = text_of(folder, projected, run_id, "mltrail/console.log")
    assert console == f"{run_id}\nINFO:root:one epoch\ndiverged\n"  # also at the end of a process that ended no run
    everything = repr(tags) + "".join(text_of(folder, projected, run_id, str(path)) for path in artifacts)
    assert "hunter2" not in everything
    projected.assert_complete(run_id)


def test_what_nobody_asked_for_holds_up_neither_a_flush_nor_the_end(redis_url: str, tmp_path: Path) -> None:
    # Artifacts have nowhere to go: no server has published its address in the Redis log.
    mltrail.init(redis_url, record_environment=True, exit_timeout_s=60.0)
    began = time.monotonic()
    with mltrail.start_run() as run:
        run.log_metric("loss", 1.0)
        assert run.flush(60.0)
    assert time.monotonic() - began < 30  # it would have waited for a minute
    with ProjectedLog(redis_url, tmp_path / "read") as projected:
        assert projected.run(run.id)["status"] == "FINISHED"
        assert projected.artifacts(run.id) == {}


def test_what_is_switched_off_is_not_recorded(folder: Path, projected: ProjectedLog) -> None:
    mltrail.init(folder, record_code=False, record_environment=False, system_metrics_interval_s=0)
    with mltrail.start_run() as run:
        print("not kept")
    assert projected.artifacts(run.id) == {}
    assert not any("git" in str(key) or key == "mltrail.host" for key in projected.tags(run.id))


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["--lr", "0.1", "data dir"], "--lr 0.1 'data dir'"),
        (["--token", "abc", "x"], "--token '***' x"),
        (["--db-password=abc"], "'--db-password=***'"),
        (["--use-token", "--lr", "1"], "--use-token --lr 1"),
        (["model.api_key=abc", "model.depth=3"], "'model.api_key=***' model.depth=3"),
        (["postgres://ann:abc@host/db", "--to=redis://:abc@host/0"], "postgres://host/db --to=redis://host/0"),
        (["mail@example.org", "--keys", "12"], "mail@example.org --keys 12"),
    ],
)
def test_arguments_are_shown_without_secrets(given: list[str], shown: str) -> None:
    assert shown_arguments(given) == shown


def test_switches_come_from_arguments_then_from_the_environment() -> None:
    environment = {"MLTRAIL_CONSOLE": "yes", "MLTRAIL_RECORD_CODE": "0", "MLTRAIL_SYSTEM_METRICS_INTERVAL_S": "2.5"}
    recording = read_recording(environment, console=False)
    assert (recording.console, recording.code, recording.environment) == (False, False, True)
    assert recording.system_metrics_interval_s == 2.5
    for wrong in ({"MLTRAIL_CONSOLE": "maybe"}, {"MLTRAIL_SYSTEM_METRICS_INTERVAL_S": "-1"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            read_recording(wrong)


# -- system metrics


def test_a_run_logs_how_busy_the_machine_is_under_the_names_of_mlflow(folder: Path, projected: ProjectedLog) -> None:
    mltrail.init(folder, system_metrics_interval_s=0.05)
    with mltrail.start_run() as run:
        wait_for(lambda: len(projected.values(run.id, "system/cpu_utilization_percentage")) >= 2)
    points = projected.points(run.id)
    assert {
        "system/cpu_utilization_percentage",
        "system/system_memory_usage_megabytes",
        "system/system_memory_usage_percentage",
        "system/disk_usage_percentage",
        "system/disk_usage_megabytes",
        "system/disk_available_megabytes",
        "system/network_receive_megabytes",
        "system/network_transmit_megabytes",
    } == {point.key for point in points}
    assert all(0 <= point.value <= 100 for point in points if point.key.endswith("percentage"))
    steps = [point.step for point in points if point.key == "system/disk_usage_megabytes"]
    assert steps == list(range(len(steps)))
    assert mltrail._fluent.current_session().losses.counts() == {}  # nothing is logged after the end


@pytest.mark.parametrize(
    ("environment", "prefix"),
    [
        ({}, None),
        ({"RANK": "1", "LOCAL_RANK": "1"}, None),
        ({"RANK": "8", "LOCAL_RANK": "0", "MLTRAIL_NODE_ID": "node:1/a b"}, "system/node-1-a-b/"),
    ],
)
def test_of_the_processes_that_join_a_run_the_first_of_each_node_tells_how_busy_it_is(
    folder: Path,
    projected: ProjectedLog,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    prefix: str | None,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    mltrail.init(folder, system_metrics_interval_s=0.05)
    with mltrail.start_run(run_id="0" * 31 + "a") as run:
        if prefix is not None:
            wait_for(lambda: bool(projected.points(run.id)))
        run.log_metric("loss", 1.0)
    keys = {point.key for point in projected.points(run.id)} - {"loss"}
    assert all(key.startswith(prefix or "nothing") for key in keys)
    assert bool(keys) is (prefix is not None)


def test_a_run_that_is_resumed_goes_on_with_its_steps(tmp_path: Path) -> None:
    def steps() -> list[int]:
        return [point.step for point in mltrail.metric_history(run_id, "system/disk_usage_megabytes")]

    with real_server(str(tmp_path / "data" / "log"), tmp_path / "data") as url:
        mltrail.init(url, system_metrics_interval_s=0.05)
        with mltrail.start_run() as run:
            run_id = run.id
            wait_for(lambda: len(steps()) >= 2)
        before = len(steps())
        with mltrail.start_run(run_id=run_id, resume=True):
            wait_for(lambda: len(steps()) >= before + 2)
        assert steps() == list(range(len(steps())))


def test_the_load_is_that_since_the_last_sample() -> None:
    loads = iter(
        [Load(10, 100, 1, 4, 5_000_000, 0), Load(15, 110, 2, 4, 6_000_000, 0), Load(15, 120, 2, 4, 8_000_000, 0)]
    )
    metrics = SystemMetrics(lambda: next(loads))
    first, second = metrics.sample(), metrics.sample()
    assert (first["cpu_utilization_percentage"], second["cpu_utilization_percentage"]) == (50.0, 0.0)
    assert (first["network_receive_megabytes"], second["network_receive_megabytes"]) == (1.0, 3.0)
    assert first["system_memory_usage_percentage"] == 50.0


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="needs Linux")
def test_linux_tells_the_same_as_psutil() -> None:
    psutil = pytest.importorskip("psutil")
    load, memory = read_proc(), psutil.virtual_memory()
    assert load.memory_total_bytes == memory.total
    assert load.received_bytes == pytest.approx(psutil.net_io_counters().bytes_recv, rel=0.2, abs=1e8)
    assert 0 < load.busy_s <= load.total_s


def test_gpus_are_counted_and_measured_as_nvml_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    import types

    from mltrail._gpus import gpu_metrics

    class NVMLError(Exception):
        pass

    def no_power(handle: object) -> int:
        raise NVMLError("not supported")

    fake = types.SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda number: number,
        nvmlDeviceGetName=lambda handle: b"NVIDIA T4",
        nvmlDeviceGetUUID=lambda handle: "GPU-1",
        nvmlSystemGetDriverVersion=lambda: "550.1",
        nvmlDeviceGetMemoryInfo=lambda handle: types.SimpleNamespace(used=4_000_000_000, total=16_000_000_000),
        nvmlDeviceGetUtilizationRates=lambda handle: types.SimpleNamespace(gpu=73),
        nvmlDeviceGetPowerUsage=no_power,
    )
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    nvml.cache_clear()
    found_gpus.cache_clear()
    try:
        [gpu] = found_gpus()
        assert (gpu.name, gpu.memory_bytes, gpu.driver) == ("NVIDIA T4", 16_000_000_000, "550.1")
        assert gpu_metrics() == {
            "gpu_0_memory_usage_percentage": 25.0,
            "gpu_0_memory_usage_megabytes": 4000.0,
            "gpu_0_utilization_percentage": 73,
        }
    finally:
        monkeypatch.undo()
        nvml.cache_clear()
        found_gpus.cache_clear()


# -- console


def test_the_console_is_kept_from_handlers_that_were_there_before_and_the_streams_are_left_as_they_were(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = logging.StreamHandler(sys.stderr)
    console, log, late = Console(), ConsoleLog(), ConsoleLog()
    before = [vars(stream).get("write") for stream in (sys.stdout, sys.stderr)]
    console.attach(log)
    print("first")
    console.attach(late)
    handler.emit(logging.LogRecord("x", logging.INFO, "", 0, "from logging", None, None))
    console.detach(log)
    print("second")
    console.detach(late)
    assert (log.text(), late.text()) == ("first\nfrom logging\n", "from logging\nsecond\n")
    assert [vars(stream).get("write") for stream in (sys.stdout, sys.stderr)] == before
    assert capsys.readouterr() == ("first\nsecond\n", "from logging\n")


def test_one_run_may_ask_for_its_console_and_another_do_without(folder: Path, projected: ProjectedLog) -> None:
    mltrail.init(folder)
    with mltrail.start_run(console=True) as asking, mltrail.start_run() as other:
        print("of one of them")
    mltrail.init(folder, console=True)
    with mltrail.start_run(console=False) as quiet:
        print("of nobody")
    assert text_of(folder, projected, asking.id, "mltrail/console.log") == "of one of them\n"
    for run in (other, quiet):
        assert not projected.artifacts(run.id)


def test_a_stream_that_somebody_wrapped_since_stays_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    console, log, seen = Console(), ConsoleLog(), []
    console.attach(log)
    ours = sys.stdout.write

    def theirs(text: str) -> int:
        seen.append(text)
        return ours(text)

    monkeypatch.setattr(sys.stdout, "write", theirs)
    console.detach(log)
    print("after")
    assert "".join(seen) == "after\n"
    assert log.text() == ""


def test_a_line_that_writes_over_itself_is_kept_in_its_last_form() -> None:
    log = ConsoleLog()
    for text in ("epoch 1\n", "\r 10 %", "\r 50 %", "\r100 %", "\n", "windows\r\n"):
        log.add(text)
    assert log.text() == "epoch 1\n100 %\nwindows\n"


def test_a_long_console_keeps_its_beginning_and_its_end() -> None:
    log = ConsoleLog()
    lines = [f"line {number:07d}\n" for number in range(400_000)]
    for start in range(0, len(lines), 1000):
        log.add("".join(lines[start : start + 1000]))
    text = log.text()
    assert HEAD_CHARACTERS <= len(text) <= HEAD_CHARACTERS + TAIL_CHARACTERS + 100
    assert text.startswith("line 0000000\n")
    assert text.endswith("line 0399999\n")
    assert "characters left out" in text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_prints_undisturbed_and_its_text_is_not_the_runs(
    folder: Path, tmp_path: Path, projected: ProjectedLog
) -> None:
    script = Script(
        tmp_path,
        str(folder),
        """
        mltrail.init(mltrail._fluent._session.settings.destination.address, console=True)
        with mltrail.start_run() as run:
            print(run.id, flush=True)
            for _ in range(20):
                child = os.fork()
                if child == 0:
                    print("from the child", flush=True)
                    os._exit(0)
                assert os.waitpid(child, 0)[1] == 0
            print("from the parent", flush=True)
        """,
    )
    done = script.run()
    assert done.returncode == 0, done.stderr
    run_id = done.stdout.split()[0]
    assert done.stdout.count("from the child") == 20
    assert text_of(folder, projected, run_id, "mltrail/console.log") == f"{run_id}\nfrom the parent\n"
