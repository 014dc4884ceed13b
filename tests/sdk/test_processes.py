"""Forked, spawned and many-threaded trainings: every process is a producer of its own, and none loses or doubles."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import mltrail
from tests.sdk.projected import ProjectedLog
from tests.sdk.script import Script


def test_a_forked_child_that_logs_nothing_ends_by_sigterm_as_without_mltrail(
    folder: Path, tmp_path: Path, projected: ProjectedLog
) -> None:
    script = Script(
        tmp_path,
        str(folder),
        """
        with mltrail.start_run() as run:
            print(run.id, flush=True)
            ready, tell = os.pipe()
            child = os.fork()
            if child == 0:
                os.write(tell, b"1")
                while True:
                    time.sleep(0.01)
            os.read(ready, 1)  # CPython forgets signals that reach a child before its first line of Python
            os.kill(child, signal.SIGTERM)
            print(os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGTERM)
        """,
    )
    run_id, is_ended_by_signal = script.run().stdout.split()
    assert is_ended_by_signal == "True"
    assert projected.run(run_id)["status"] == "FINISHED"
    projected.assert_complete(run_id)


def test_a_fork_in_the_middle_sends_nothing_twice_and_logs_under_its_own_producer(
    folder: Path, tmp_path: Path, projected: ProjectedLog
) -> None:
    script = Script(
        tmp_path,
        str(folder),
        """
        with mltrail.start_run(experiment="forks") as run:
            print(run.id, flush=True)
            for step in range(1000):
                run.log_metric("parent", float(step), step)
            run.log_param("before the fork", 1)
            child = os.fork()
            if child == 0:
                for step in range(1000):
                    run.log_metric("child", float(step), step)
                run.log_param("in the child", 1)
                run.end()
                os._exit(0)
            for step in range(1000, 2000):
                run.log_metric("parent", float(step), step)
            os.waitpid(child, 0)
        """,
    )
    done = script.run()
    assert done.returncode == 0, done.stderr
    run_id = done.stdout.strip()
    assert projected.values(run_id, "parent") == [float(step) for step in range(2000)]
    assert projected.values(run_id, "child") == [float(step) for step in range(1000)]
    assert projected.params(run_id) == {"before the fork": "1", "in the child": "1"}
    assert projected.run(run_id)["status"] == "FINISHED"
    projected.assert_complete(run_id, producer_count=2)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_multiprocessing_log_to_one_run_and_lose_nothing(
    folder: Path, tmp_path: Path, projected: ProjectedLog, method: str
) -> None:
    script = Script(
        tmp_path,
        str(folder),
        f"""
        import multiprocessing

        def work(run_id, number):
            run = mltrail.active_run() or mltrail.start_run(run_id=run_id)
            for step in range(200):
                run.log_metric(f"worker {{number}}", float(step), step)

        if __name__ == "__main__":
            context = multiprocessing.get_context({method!r})
            with mltrail.start_run() as run:
                print(run.id, flush=True)
                run.flush()
                workers = [context.Process(target=work, args=(run.id, number)) for number in range(2)]
                for worker in workers:
                    worker.start()
                for worker in workers:
                    worker.join()
        """,
    )
    done = script.run()
    assert done.returncode == 0, done.stderr
    run_id = done.stdout.strip()
    for number in range(2):
        assert projected.values(run_id, f"worker {number}") == [float(step) for step in range(200)]
    assert projected.run(run_id)["status"] == "FINISHED"
    projected.assert_complete(run_id, producer_count=3)


@pytest.mark.parametrize("kind", ["joblib", "pool"])
def test_functions_that_joblib_or_a_pool_runs_join_the_run_as_the_guide_says(
    folder: Path, tmp_path: Path, projected: ProjectedLog, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("MLTRAIL_URI", str(folder))  # workers that are spawned know nothing of the parent's `init`
    run_all = {
        "joblib": "Parallel(n_jobs=2)(delayed(fit)(run.id, fold) for fold in range(5))",
        "pool": "multiprocessing.get_context('fork').Pool(2).starmap(fit, [(run.id, fold) for fold in range(5)])",
    }[kind]
    script = Script(
        tmp_path,
        str(folder),
        f"""
        import multiprocessing
        from joblib import Parallel, delayed

        def fit(run_id, fold):
            with mltrail.start_run(run_id=run_id) as run:
                for step in range(100):
                    run.log_metric(f"fold {{fold}}/score", float(step), step)
                run.log_param(f"fold {{fold}}", os.getpid())

        if __name__ == "__main__":
            with mltrail.start_run(experiment="cv") as run:
                print(run.id, flush=True)
                {run_all}
        """,
    )
    done = script.run()
    assert done.returncode == 0, done.stderr
    run_id = done.stdout.strip()
    for fold in range(5):
        assert projected.values(run_id, f"fold {fold}/score") == [float(step) for step in range(100)]
    assert len(projected.params(run_id)) == 5
    assert len(set(projected.params(run_id).values())) <= 2
    assert projected.run(run_id)["status"] == "FINISHED"
    projected.assert_complete(run_id, producer_count=6)


def test_a_fork_while_64_threads_log_does_not_hang(folder: Path, tmp_path: Path, projected: ProjectedLog) -> None:
    script = Script(
        tmp_path,
        str(folder),
        """
        stop = threading.Event()
        with mltrail.start_run() as run:
            print(run.id, flush=True)

            def work(number):
                while not stop.is_set():
                    run.log_metric(f"m{number}", 1.0)
                    run.set_tag(f"t{number}", "x")
                    time.sleep(0.005)

            threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
            for thread in threads:
                thread.start()
            for number in range(5):
                child = os.fork()
                if child == 0:
                    run.log_param(f"child {number}", 1)
                    run.end()
                    os._exit(0)
                assert os.waitpid(child, 0)[1] == 0
            stop.set()
            for thread in threads:
                thread.join()
        """,
        exit_timeout_s=50.0,  # a busy machine takes longer than others' five seconds to send what 64 threads logged
    )
    done = script.run()
    assert done.returncode == 0, done.stderr
    run_id = done.stdout.strip()
    assert projected.params(run_id) == {f"child {number}": "1" for number in range(5)}
    projected.assert_complete(run_id, producer_count=6)


def test_a_fork_in_this_process_leaves_the_session_of_the_parent_alone(folder: Path, projected: ProjectedLog) -> None:
    mltrail.init(folder)
    with mltrail.start_run() as run:
        run.log_metric("loss", 1.0)
        child = os.fork()
        if child == 0:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        run.log_metric("loss", 2.0)
    assert projected.values(run.id, "loss") == [1.0, 2.0]
    projected.assert_complete(run.id)
