"""Valkey is killed with SIGKILL while trainers send; the read model ends up with exactly what they sent."""

from __future__ import annotations

import pytest

from tests.acceptance.faults import assert_all_arrived, disturb, run_ids, training
from tests.acceptance.stack import StackOf


# Rounds of faults kill Valkey under trainers that send straight to it, too.
@pytest.mark.parametrize("way", ["http", pytest.param("redis", marks=pytest.mark.thorough)])
def test_valkey_killed_while_trainers_send_loses_and_doubles_nothing(way: str, a_stack: StackOf) -> None:
    with a_stack("services") as stack:
        valkey = stack.valkey
        assert valkey is not None

        def kill_valkey() -> None:
            valkey.kill()
            valkey.start()

        with training(stack.uri if way == "http" else valkey.url) as trainers:
            disturb(kill_valkey, 5)
            assert_all_arrived(stack, run_ids(trainers))
        assert stack.json("rebuild")["is_equal"] is True
