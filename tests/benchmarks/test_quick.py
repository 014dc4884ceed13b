"""The quick form runs and its answers are right; how long anything takes is no test's business."""

from __future__ import annotations

import pytest

# What benchmarks import, MLflow's client among it, only the process needs that runs them: so each test imports its own.


def test_every_family_of_rows_runs_and_its_answers_are_right(capsys: pytest.CaptureFixture[str]) -> None:
    from tests.benchmarks.__main__ import main

    main(["--quick", "client", "http", "native", "paced", "growth", "series", "search", "--peers", "folder"])
    main(["--quick", "sdk", "--clients", "mltrail, Redis", "mltrail, offline"])
    main(["--quick", "start", "--peers", "canned"])  # a second start of mltrail costs more than all rows together
    printed = capsys.readouterr().out
    for work in (
        "log_metric, p50",
        "log-metric, 16 connections",
        "to the read model",
        "memory of the projector at its peak",
        "lag in the second half, p50",
        "memory when idle",
        "last page by a metric",
        "outline of chunks",
        "25 of 50 runs: metric, param and tag, by a metric",
        "one log_metric, the sender busy: p99",
        "trainers to the log, by series",
        "without a server",
    ):
        assert work in printed


@pytest.mark.thorough
def test_a_training_without_a_server_is_timed_and_all_of_it_arrives_afterwards(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from tests.benchmarks import offline_training

    offline_training.main(["--quick"])
    printed = capsys.readouterr().out
    assert "then all has arrived" in printed
    for work in ("log_metric", "log_series", "log_param", "set_tag", "log_artifact", "s of CPU in all threads"):
        assert work in printed


def test_peers_are_asked_in_turns(capsys: pytest.CaptureFixture[str]) -> None:
    from tests.benchmarks import in_turns

    in_turns.main(["--quick", "--peers", "durable", "folder"])
    assert "create a run, log 40 metrics, 20 params, 5 tags: mean" in capsys.readouterr().out


@pytest.mark.thorough
def test_two_projectors_are_timed_and_project_everything_once(capsys: pytest.CaptureFixture[str]) -> None:
    from tests.benchmarks import projector_scale

    projector_scale.main(["--quick", "--projectors", "2"])
    assert "2 projectors" in capsys.readouterr().out
