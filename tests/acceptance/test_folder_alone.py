"""Trainers write to one folder with no server at all; the read model ends up with exactly what they sent."""

from __future__ import annotations

from pathlib import Path

from mltrail_core.log import open_log
from mltrail_core.readmodel.store import open_read_model
from mltrail_projector.loop import catch_up
from mltrail_projector.rebuild import rebuild
from tests.acceptance.faults import TRAINERS, assert_exactly_what_was_sent, missing_of, run_ids, training


def test_trainers_on_a_folder_need_no_server(tmp_path: Path) -> None:
    with training(str(tmp_path)) as trainers:
        ids = run_ids(trainers)
    log, read_model = open_log(str(tmp_path / "log")), open_read_model(str(tmp_path / "read"))
    try:
        catch_up(log, read_model)
        assert [missing_of(read_model, run_id) for run_id in ids] == [[]] * TRAINERS
        assert_exactly_what_was_sent(read_model, ids)
        assert rebuild(log, read_model).is_equal
    finally:
        log.close()
        read_model.close()
