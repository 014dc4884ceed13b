"""What every adapter of `Liveness` does; run by one test module for each adapter."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import pytest

from mltrail_core.errors import Invalid
from mltrail_core.liveness import Liveness, open_liveness
from tests.contracts.log_writers import SPAWN

RUN, OTHER = "0" * 32, "f" * 32


def later_than(us: int, clock: Callable[[], int]) -> int:
    """Return a moment of `clock` that is past `us`."""
    deadline = time.monotonic() + 20
    while (now_us := clock()) <= us:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return now_us


def mark_in_other_process(log_url: str, subject: str) -> None:
    liveness = open_liveness(log_url)
    liveness.mark([subject])
    liveness.close()


class LivenessContract:
    """Modules that run it give the fixture `log_url`, where nobody was marked yet."""

    @pytest.fixture
    def liveness(self, log_url: str) -> Iterator[Liveness]:
        opened = open_liveness(log_url)
        yield opened
        opened.close()

    def test_nobody_was_seen_before_the_first_mark(self, liveness: Liveness) -> None:
        assert liveness.last_seen([RUN, OTHER]) == {}
        assert liveness.last_seen([]) == {}
        assert liveness.attended("api") is None
        assert liveness.forget() == 0

    def test_a_mark_says_when_by_the_clock_of_the_place(self, liveness: Liveness) -> None:
        before_us = liveness.now_us()
        liveness.mark([RUN])
        after_us = liveness.now_us()
        assert before_us <= liveness.last_seen([RUN, OTHER])[RUN] <= after_us
        assert OTHER not in liveness.last_seen([RUN, OTHER])

    def test_the_last_mark_counts(self, liveness: Liveness) -> None:
        liveness.mark([RUN, OTHER])
        first = liveness.last_seen([RUN, OTHER])
        later_us = later_than(first[RUN], liveness.now_us)
        liveness.mark([RUN])
        second = liveness.last_seen([RUN, OTHER])
        assert second[RUN] >= later_us > first[RUN]
        assert second[OTHER] == first[OTHER]

    def test_marks_of_other_processes_are_seen(self, liveness: Liveness, log_url: str) -> None:
        process = SPAWN.Process(target=mark_in_other_process, args=(log_url, RUN))
        process.start()
        process.join(30)
        assert process.exitcode == 0
        assert RUN in liveness.last_seen([RUN])

    def test_a_forked_child_marks_and_leaves_the_parents_marks_usable(self, liveness: Liveness) -> None:
        liveness.mark([RUN])
        child = os.fork()
        if child == 0:
            try:
                liveness.mark([OTHER])
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert set(liveness.last_seen([RUN, OTHER])) == {RUN, OTHER}
        liveness.mark([RUN])

    def test_many_subjects_are_marked_and_asked_for_at_once(self, liveness: Liveness) -> None:
        subjects = [f"{number:032x}" for number in range(6000)]
        liveness.mark(subjects)
        assert set(liveness.last_seen([*subjects, OTHER])) == set(subjects)

    @pytest.mark.parametrize("subject", ["", "../outside", "a/b", "x" * 65, "a b"])
    def test_what_is_no_id_is_refused_and_nothing_is_marked(self, liveness: Liveness, subject: str) -> None:
        with pytest.raises(Invalid, match="is no id"):
            liveness.mark([RUN, subject])
        assert liveness.last_seen([RUN, subject]) == {}
        with pytest.raises(Invalid, match="is no id"):
            liveness.attend(subject, patience_s=1)

    def test_a_duty_is_attended_since_its_first_sign(self, liveness: Liveness) -> None:
        first = liveness.attend("api", patience_s=60)
        assert first.since_us == first.until_us
        later_us = later_than(first.until_us, liveness.now_us)
        second = liveness.attend("api", patience_s=60)
        assert second.since_us == first.since_us
        assert second.until_us >= later_us
        found = liveness.attended("api")
        assert found is not None
        assert found.since_us == first.since_us
        assert later_us <= found.until_us <= liveness.now_us()
        assert liveness.attended("reaper") is None

    def test_a_gap_longer_than_the_patience_begins_the_duty_anew(self, liveness: Liveness) -> None:
        first = liveness.attend("api", patience_s=60)
        later_than(first.until_us + 2000, liveness.now_us)
        second = liveness.attend("api", patience_s=0.001)
        assert second.since_us > first.until_us
        assert liveness.attended("api") == second

    def test_old_marks_are_forgotten_and_younger_ones_kept(self, liveness: Liveness) -> None:
        liveness.mark([OTHER])
        assert liveness.forget(older_than_s=3600) == 0
        later_than(liveness.last_seen([OTHER])[OTHER], liveness.now_us)
        assert liveness.forget(older_than_s=0) == 1
        liveness.mark([RUN])
        assert set(liveness.last_seen([RUN, OTHER])) == {RUN}
