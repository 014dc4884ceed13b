"""The API is killed with SIGKILL while trainers send; the read model ends up with exactly what they sent."""

from __future__ import annotations

import pytest

from tests.acceptance.faults import assert_all_arrived, disturb, run_ids, training
from tests.acceptance.stack import StackOf


@pytest.mark.parametrize("kind", ["folder", "services"])
def test_api_killed_while_trainers_send_loses_and_doubles_nothing(kind: str, a_stack: StackOf) -> None:
    with a_stack(kind) as stack, training(stack.uri) as trainers:

        def kill_api() -> None:
            stack.api.kill()
            stack.api.start()

        disturb(kill_api, 5)
        assert_all_arrived(stack, run_ids(trainers))
        assert stack.json("rebuild")["is_equal"] is True
