"""The catalogue of keys over a real read model on both databases."""

from __future__ import annotations

import pytest

from mltrail_api.search.keys import experiment_key_page
from mltrail_core.errors import Invalid
from mltrail_core.readmodel.store import ReadModel
from mltrail_core.readmodel.tables import experiment_keys
from tests.api.search.sample import SampleExperiment, fill


def test_the_catalogue_lists_the_keys_of_experiments_a_page_at_a_time(read_model: ReadModel) -> None:
    fill(read_model, (), [SampleExperiment(aliases=("71",)), SampleExperiment("8", "wine")])
    rows = [
        *(("7", "metric", "loss", "run-00"), ("7", "metric", "loss", "run-01"), ("71", "metric", "acc", "run-00")),
        *(("7", "metric", "val/loss", "run-02"), ("7", "metric", "val/é", "run-02"), ("7", "param", "lr", "run-00")),
        ("8", "metric", "f1", "run-00"),
    ]
    names = ("experiment_id", "kind", "key", "partition")
    with read_model.writing(read_model.live_generation()) as connection:
        connection.execute(experiment_keys.delete())
        connection.execute(experiment_keys.insert(), [dict(zip(names, row, strict=True)) for row in rows])
    with read_model.reading() as connection:
        first = experiment_key_page(connection, ["7"], "metric", max_results=2)
        assert first.keys == ("acc", "loss")
        assert first.next_page_token is not None
        rest = experiment_key_page(connection, ["7"], "metric", max_results=2, page_token=first.next_page_token)
        assert (rest.keys, rest.next_page_token) == (("val/loss", "val/é"), None)
        assert experiment_key_page(connection, None, "metric", prefix="f").keys == ("f1",)
        assert experiment_key_page(connection, ["7", "8"], "metric", prefix="val/").keys == ("val/loss", "val/é")
        assert experiment_key_page(connection, ["8"], "param").keys == ()
        assert experiment_key_page(connection, [], "metric").keys == ()
        with pytest.raises(Invalid, match="prefix"):
            experiment_key_page(connection, None, "metric", prefix="\0")
