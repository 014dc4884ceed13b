"""Servers, network and trainers are killed at random moments; what calls had returned from arrives, once.

The short form of `python -m tests.acceptance.fault_rounds`, which tests/README.md tells of.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.fault_rounds.installation import installation
from tests.acceptance.fault_rounds.plan import plan_of
from tests.acceptance.fault_rounds.rounds import run_round

SEED = 340
"""Its two rounds have every kind of fault, and kill each kind of trainer. The full form has another seed each time."""
ROUNDS = 2
TRAIN_S = 1.2
ARTIFACT_BYTES = 3_000_000


@pytest.mark.timeout(600)
def test_nothing_is_lost_or_doubled_when_servers_network_and_trainers_are_killed(tmp_path: Path) -> None:
    (tmp_path / "installation").mkdir()
    with installation(tmp_path / "installation") as stands:
        for number in range(1, ROUNDS + 1):
            plan = plan_of(SEED, number, train_s=TRAIN_S, artifact_bytes=ARTIFACT_BYTES)
            result = run_round(stands, plan, tmp_path / f"round-{number}")
            print(result.shown())
            assert result.faults == ()
            assert all(verdict.fact_count for verdict in result.verdicts)
