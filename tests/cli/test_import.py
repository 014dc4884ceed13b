"""`mltrail import mlflow` brings over whole stores that MLflow's client made, once, also when it is killed."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import preloaded
from tests.cli.command import Ended, environment, mltrail, server
from tests.cli.trained import TrainedFolder
from tests.thorough import examples

RUNS = int(os.environ.get("MLTRAIL_TEST_IMPORT_RUNS", examples(60, 80)))
"""`MLTRAIL_TEST_IMPORT_RUNS=200` makes a store of a usual size and takes three minutes; the registry cases need 60."""


@dataclass(frozen=True, slots=True)
class Store:
    """A store of MLflow's with every kind of thing in it."""

    uri: str
    folder: Path


def script(name: str, *words: str, cwd: Path) -> str:
    done = preloaded.run(
        preloaded.MLFLOW,
        [f"tests.cli.{name}", *words],
        folder=cwd,
        env=environment(PYTHONWARNINGS="ignore"),
        timeout_s=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    script("import_source", uri, str(folder / "artifacts"), str(RUNS), cwd=folder)
    return Store(uri, folder)


@pytest.fixture(scope="module")
def imported(database: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("imported") / "data"
    done = import_from(database.uri, data)
    assert done.status == 0, done.err + done.out
    assert done.json()["is_complete"] is True
    assert set(count_of(done, "runs").values()) == {RUNS + RUNS // 20}
    return data


def import_from(origin: str | Path, data: Path, *words: str) -> Ended:
    return mltrail("import", "mlflow", "--from", str(origin), "--data", data, "--json", *words)


def count_of(done: Ended, kind: str) -> dict[str, int]:
    counts = done.json()["counts"]
    assert isinstance(counts, dict)
    found = counts[kind]
    assert isinstance(found, dict)
    return found


def test_the_same_import_twice_gives_nothing_new(database: Store, imported: Path) -> None:
    again = import_from(database.uri, imported)
    assert again.status == 0, again.err
    assert again.json()["events"] == 0


def test_both_apis_say_the_same(database: Store, imported: Path, tmp_path: Path) -> None:
    with server(imported.parent) as running:
        running.get("/health")
        ours = json.loads(script("import_view", running.url, cwd=tmp_path))
    theirs = json.loads(script("import_view", database.uri, cwd=tmp_path))
    assert set(ours) == set(theirs)
    for subject, said in theirs.items():
        assert ours[subject] == said, subject


@pytest.mark.thorough
def test_a_server_is_a_source_too_also_one_of_ours(imported: Path, tmp_path: Path) -> None:
    with server(imported.parent) as running:
        running.get("/health")
        copied = import_from(running.url, tmp_path / "copy")
    assert copied.status == 0, copied.out + copied.err
    assert set(count_of(copied, "runs").values()) == {RUNS + RUNS // 20}


def test_a_killed_import_goes_on_where_it_stopped(database: Store, tmp_path: Path) -> None:
    words = ["import", "mlflow", "--from", database.uri, "--data", str(tmp_path)]
    for least in (5, 150):
        process = subprocess.Popen([sys.executable, "-m", "mltrail_cli", *words], env=environment())
        try:
            wait_for_blobs(tmp_path, least // 5, process)
        finally:
            process.kill()
            process.wait()
    done = import_from(database.uri, tmp_path)
    assert done.status == 0, done.out + done.err
    assert import_from(database.uri, tmp_path).json()["events"] == 0
    generation = (tmp_path / "read" / "CURRENT").read_text()
    with closing(sqlite3.connect(tmp_path / "read" / f"g{generation}.db")) as read_model:
        assert read_model.execute("SELECT * FROM rejections").fetchall() == []
        assert read_model.execute("SELECT count(*) FROM runs").fetchone() == (RUNS + RUNS // 20,)
    rebuilt = mltrail("rebuild", "--data", tmp_path, "--json")
    assert rebuilt.status == 0, rebuilt.out + rebuilt.err


@pytest.mark.thorough
def test_what_the_source_gained_since_comes_with_the_next_import(database: Store, tmp_path: Path) -> None:
    grown = tmp_path / "mlflow.db"
    shutil.copy(database.folder / "mlflow.db", grown)
    first = import_from(f"sqlite:///{grown}", tmp_path / "data", "--skip-artifacts")
    assert first.status == 0, first.out
    with closing(sqlite3.connect(grown)) as source, source:
        run_id = source.execute("SELECT run_uuid FROM runs WHERE lifecycle_stage = 'deleted' LIMIT 1").fetchone()[0]
        source.execute("INSERT INTO metrics VALUES ('loss', 7.0, 1600000000000, ?, 99, 0)", [run_id])
        source.execute("INSERT INTO params VALUES ('late', '1', ?)", [run_id])
    second = import_from(f"sqlite:///{grown}", tmp_path / "data", "--skip-artifacts")
    assert second.status == 0, second.out
    assert (count_of(second, "points")["new"], count_of(second, "params")["new"]) == (1, 1)
    assert import_from(f"sqlite:///{grown}", tmp_path / "data", "--skip-artifacts").json()["events"] == 0


@pytest.mark.thorough
def test_a_name_that_is_taken_is_left_out_or_gets_the_suffix(
    database: Store, trained: TrainedFolder, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(trained.data, data)
    done = import_from(database.uri, data)
    assert done.status == 1
    problems = done.json()["problems"]
    assert isinstance(problems, list)
    assert "'vision'" in problems[0]
    assert "--rename-suffix" in problems[0]
    renamed = import_from(database.uri, data, "--rename-suffix", " (old)")
    assert renamed.status == 0, renamed.out
    assert import_from(database.uri, data, "--rename-suffix", " (old)").json()["events"] == 0
    listed = mltrail("experiments", "list", "--data", data, "--json").out
    assert '"vision (old)"' in listed


def test_a_folder_of_the_file_store_comes_over(tmp_path: Path) -> None:
    script("import_source", str(tmp_path / "mlruns"), str(tmp_path / "mlruns"), "22", cwd=tmp_path)
    done = import_from(tmp_path / "mlruns", tmp_path / "data")
    assert done.status == 0, done.out + done.err
    assert count_of(done, "runs") == {"source": 24, "here": 24, "new": 24}
    assert count_of(done, "artifacts")["here"] == 16  # 5 runs with 2 each, 2 models with 3
    assert import_from(tmp_path / "mlruns", tmp_path / "data").json()["events"] == 0


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ("./nowhere", "--from ./nowhere: expected"),
        ("sqlite:///none.db", "there is no file"),
        ("http://127.0.0.1:1", "can't be reached"),
    ],
)
def test_a_source_that_is_none_is_refused(origin: str, said: str, tmp_path: Path) -> None:
    done = mltrail("import", "mlflow", "--from", origin, "--data", tmp_path)
    assert done.status == 1
    assert said in done.err


def wait_for_blobs(data: Path, number: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while len(list((data / "artifacts").rglob("*"))) < number + 10 and process.poll() is None:
        assert time.monotonic() < deadline, "the import stored nothing"
        time.sleep(0.01)
