"""The projector is killed with SIGKILL while trainers send; the read model ends up with exactly what they sent."""

from __future__ import annotations

import random
import time

import pytest

from tests.acceptance.faults import (
    assert_all_arrived,
    assert_exactly_what_was_sent,
    disturb,
    is_idle,
    run_ids,
    training,
)
from tests.acceptance.stack import StackOf, projected, wait_for


@pytest.mark.parametrize("kind", ["folder", "services"])
def test_projector_killed_while_trainers_send_loses_and_doubles_nothing(kind: str, a_stack: StackOf) -> None:
    with a_stack(kind) as stack, training(stack.uri) as trainers, stack.opened() as (log, read_model):
        stood_at = 0

        def kill_projector_at_work() -> None:
            # A projector that has only begun to load has nothing to lose: it is killed once it has projected.
            nonlocal stood_at
            wait_for(lambda: projected(read_model) > stood_at or is_idle(trainers, log, read_model), 60, "it projects")
            time.sleep(random.uniform(0.0, 0.2))
            stood_at = projected(read_model)
            stack.projector.kill()
            stack.projector.start()

        disturb(kill_projector_at_work, 19)
        rebuilt_while_writing = stack.json("rebuild")
        disturb(kill_projector_at_work, 1)
        ids = run_ids(trainers)
        assert_all_arrived(stack, ids)
        assert rebuilt_while_writing["is_equal"] is True
        assert stack.json("rebuild")["is_equal"] is True
        with stack.opened() as (_, read_model):
            assert_exactly_what_was_sent(read_model, ids)
