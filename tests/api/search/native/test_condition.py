"""What native filters hold for, on both databases."""

from __future__ import annotations

import math

from sqlalchemy import Connection

from mltrail_core.readmodel.store import ReadModel
from mltrail_core.readmodel.tables import logged_models, lost_runs, metric_summaries
from tests.api.search.native.searching import held
from tests.api.search.sample import SampleDataset, SampleExperiment, SampleRun, fill

_DAY_US = 86_400_000_000
_NOVEMBER_US = 1_793_491_200_000_000
"""2026-11-01 UTC."""


def _check(read_model: ReadModel, expected: dict[str, str]) -> None:
    for text, runs_held in expected.items():
        assert held(read_model, text) == runs_held, text


def test_or_not_and_parentheses_combine_comparisons(read_model: ReadModel) -> None:
    fill(
        read_model,
        [
            SampleRun("a", params={"p": "1", "q": "x"}, metrics={"m": 1.0}),
            SampleRun("b", params={"p": "2"}, metrics={"m": 2.0}),
            SampleRun("c", params={"q": "x"}),
        ],
    )
    _check(
        read_model,
        {
            "": "a b c",
            "params.p = '1' OR params.p = '2'": "a b",
            "params.p = '1' OR params.q = 'x' AND metrics.m > 5": "a",
            "(params.p = '2' OR params.q = 'x') AND metrics.m < 5": "a b",
            "params.q = 'x' (params.p = '2' or params.p = '1')": "a",
            "NOT params.p = '1'": "b c",
            "NOT (params.p = '1' OR metrics.m = 2)": "c",
            "not not params.p = '1'": "a",
            "NOT params.p = '1' AND params.q = 'x'": "c",
            "params.p != '1'": "b",
            "((params.p = '2'))": "b",
        },
    )


def test_lists_ranges_and_absence_are_asked_of_everything(read_model: ReadModel) -> None:
    fill(
        read_model,
        [
            SampleRun("a", params={"p": "1"}, metrics={"m": 1.0}, ended_us=5_000_000, status="FINISHED"),
            SampleRun("b", params={"p": "2"}, metrics={"m": 2.5}, tags={"t": "it's"}, status="FAILED"),
            SampleRun("c", metrics={"m": math.nan}, datasets=(SampleDataset("iris"),), status="RUNNING"),
        ],
    )
    _check(
        read_model,
        {
            "params.p IN ('1', '3')": "a",
            "params.p NOT IN ('1')": "b",
            "NOT params.p IN ('1')": "b c",
            'tags.t IN ("it\'s")': "b",
            "tags.t IN ('it\\'s')": "b",
            "status IN ('FAILED', 'RUNNING')": "b c",
            "status NOT IN ('FAILED')": "a c",
            "metrics.m IN (1, 2.5)": "a b",
            "metrics.m NOT IN (1, 7)": "b c",
            "metrics.m BETWEEN 1 AND 2": "a",
            "metrics.m NOT BETWEEN 1 AND 2": "b",
            "NOT metrics.m BETWEEN 1 AND 2": "b c",
            "metrics.m between 0 and 2 and params.p = '1'": "a",
            "metrics.m IS NAN": "c",
            "metrics.m IS NOT NAN": "a b",
            "metrics.n IS NULL": "a b c",
            "metrics.m IS NOT NULL": "a b c",
            "end_time IS NULL": "b c",
            "end_time IS NOT NULL": "a",
            "NOT end_time > 1": "b c",
            "end_time IN (5000, 6000)": "a",
            "end_time NOT IN (6000)": "a",
            "dataset.name IS NULL": "a b",
            "dataset.context IS NOT NULL": "",
            "dataset.name IN ('iris', 'wine')": "c",
            "tags.t NOT LIKE 'x%'": "b",
            "status NOT ILIKE 'f%'": "c",
        },
    )


def test_every_number_of_a_series_can_be_compared(read_model: ReadModel) -> None:
    fill(read_model, [SampleRun("a", metrics={"loss": 1.0, "loss.min": 7.0}), SampleRun("b", metrics={"loss": 1.0})])

    def spread(connection: Connection) -> None:
        is_loss = (metric_summaries.c.run_id == "a") & (metric_summaries.c.key == "loss")
        values = {"min_value": 0.5, "max_value": 4.0, "first_value": 3.0, "logged_points": 100}
        steps = {"min_step": 7, "max_step": 2, "first_step": 0, "last_step": 99}
        connection.execute(metric_summaries.update().where(is_loss).values(**values, **steps))

    with read_model.writing(read_model.live_generation()) as connection:
        spread(connection)
    _check(
        read_model,
        {
            "metrics.loss = 1": "a b",
            "metrics.loss.last = 1": "a b",
            "metrics.loss.min < 0.6": "a",
            "metrics.loss.max = 4": "a",
            "metrics.loss.first IN (3)": "a",
            "metrics.loss.count > 10": "a",
            "metrics.loss.count BETWEEN 0.5 AND 1.5": "b",
            "metrics.loss.min_step = 7": "a",
            "metrics.loss.max_step != 2": "b",
            "metrics.loss.max_step != 2.4": "a b",
            "metrics.loss.first_step = 0": "a",
            "metrics.`loss`.last_step >= 99": "a",
            "metrics.`loss.min` = 7": "a",
            "metrics.'loss.min' IS NOT NULL": "a",
            "metrics.loss.min.max = 7": "a",
            "metrics.min IS NULL": "a b",
        },
    )


def test_regular_expressions_search_texts(read_model: ReadModel) -> None:
    fill(
        read_model,
        [
            SampleRun("a", name="bert-base-12", params={"p": "Adam"}, tags={"git": "main\nfix"}),
            SampleRun("b", name="bert-large-3", params={"p": "sgd"}, datasets=(SampleDataset("iris"),)),
            SampleRun("c", name="gpt.1", user="Éva"),
        ],
    )
    _check(
        read_model,
        {
            r"run_name ~ '^bert-(base|large)-\d+$'": "a b",
            r"run_name ~ '\d\d'": "a",
            r"name ~ '\.'": "c",
            "run_name !~ 'bert'": "c",
            "params.p ~ '(?i)^ADAM$'": "a",
            "params.p !~ 'a'": "b",
            "NOT params.p ~ 'd'": "c",
            r"tags.git ~ 'main.fix'": "a",
            "user ~ '^É'": "c",
            "dataset.name ~ 'ris'": "b",
            "status ~ '^FIN'": "a b c",
            "params.p ~ ''": "a b",
        },
    )


def test_attributes_of_ours_are_compared(read_model: ReadModel) -> None:
    fill(
        read_model,
        [
            SampleRun("a", started_us=_NOVEMBER_US - 1, ended_us=_NOVEMBER_US + 90_000_000, user="ann"),
            SampleRun("b", started_us=_NOVEMBER_US, ended_us=_NOVEMBER_US + 2 * _DAY_US, user="bob"),
            SampleRun("c", experiment_id="8", started_us=_NOVEMBER_US + _DAY_US),
            SampleRun("d", experiment_id="404"),
        ],
        [SampleExperiment(), SampleExperiment("8", "wine", aliases=("81",))],
    )
    _check(
        read_model,
        {
            "start_time >= '2026-11-01'": "b c",
            "attributes.start_time < '2026-11-01T00:00:00Z'": "a d",
            "start_time > '2026-11-01T02:00+02:00'": "c",
            "start_time BETWEEN '2026-11-01' AND '2026-11-02'": "b c",
            f"start_time IN ({_NOVEMBER_US // 1000}, '2026-11-02')": "b c",
            "duration > '1.5 h'": "b",
            "duration BETWEEN '89s' AND 90001": "a",
            "duration >= '2 d'": "b",
            "duration IS NULL": "c d",
            "duration IN ('90.000s')": "a",
            "user = 'bob' OR actor LIKE 'bo_'": "b",
            "attributes.user IN ('bob')": "b",
            "experiment = 'wine'": "c",
            "experiment_id IN ('8', '7')": "a b c",
            "experiment IS NULL": "d",
            "NOT experiment_name = 'iris'": "c d",
            "experiment !~ 'w'": "a b",
        },
    )


def test_lost_runs_are_found_by_who_asks_for_them(read_model: ReadModel) -> None:
    fill(read_model, [SampleRun("a", status="RUNNING"), SampleRun("b", status="RUNNING"), SampleRun("c")])
    lost = {"run_id": "a", "last_seen_us": 1, "lease_s": 60, "lost_us": 2, "index": 1}
    with read_model.writing(read_model.live_generation()) as connection:
        connection.execute(lost_runs.delete())
        connection.execute(lost_runs.insert(), [lost])
    _check(
        read_model,
        {
            "attributes.status = 'LOST'": "a",
            "status = 'FAILED'": "a",
            "status IN ('LOST', 'FINISHED')": "a c",
            "status NOT IN ('LOST')": "b c",
            "status ~ '^LOST$|^FIN'": "a c",
            "status = 'RUNNING'": "b",
        },
    )


def test_models_that_runs_read_and_made_are_compared(read_model: ReadModel) -> None:
    fill(
        read_model,
        [
            SampleRun("a", output_models=(("m-1", 3),)),
            SampleRun("b", input_models=("m-1",), output_models=(("m-2", 0),)),
            SampleRun("c"),
        ],
    )
    model = {"experiment_id": "7", "model_type": None, "source_run_id": "a", "status": "READY"}
    times = {"created_us": 1, "updated_us": 1}
    with read_model.writing(read_model.live_generation()) as connection:
        connection.execute(logged_models.delete())
        connection.execute(logged_models.insert(), [model | times | {"model_id": "m-1", "name": "net"}])
    _check(
        read_model,
        {
            "models.output = 'm-1'": "a",
            "model.input = 'm-1'": "b",
            "models.id IN ('m-1')": "a b",
            "models.name LIKE 'n%'": "a b",
            "models.output IS NULL": "c",
            "models.input IS NOT NULL": "b",
            "models.name ~ 'x'": "",
        },
    )
