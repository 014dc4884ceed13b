"""Reads of a folder that no server runs on: the installed command line projects the log and prints what is asked for.

The SDK has no projector of its own, and must not load one into a training.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mltrail._delivery import Arrived
from mltrail._reader import Decision, RunSnapshot
from mltrail._reader.decision_json import decision_of
from mltrail._reader.delivery_json import arrived_of
from mltrail._reader.mlflow_json import items, snapshot_of
from mltrail._reader.series_json import points_of
from mltrail_core.errors import Invalid, NotFound, Unavailable
from mltrail_core.metric_block import MetricPoint

_TIMEOUT_S = 600.0
"""The first read of a large folder projects all of its log."""
_NOT_FOUND_CODES = ("RESOURCE_DOES_NOT_EXIST",)
_INVALID_CODES = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")


class CommandReader:
    """A `Reader` of a data folder, through `mltrail … --data FOLDER --json` in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get_run(self, run_id: str) -> RunSnapshot:
        answer = self._ask("runs", "show", run_id)
        return snapshot_of(answer.get("run"))

    def search_runs(
        self, experiments: Sequence[str] | None, filter_string: str, order_by: Sequence[str], max_results: int
    ) -> list[RunSnapshot]:
        arguments = ["runs", "list", "--max-results", str(max_results), "--filter", filter_string]
        arguments += [part for name in experiments or () for part in ("--experiment", name)]
        arguments += [part for clause in order_by for part in ("--order-by", clause)]
        return [snapshot_of(run) for run in items(self._ask(*arguments), "runs")]

    def metric_history(self, run_id: str, key: str) -> list[MetricPoint]:
        try:
            return points_of(self._ask("runs", "metrics", run_id, key))
        except NotFound:
            self._ask("runs", "metrics", run_id)  # which tells a run that is not there
            return []

    def delivery(self, run_id: str) -> Arrived:
        return arrived_of(self._ask("runs", "show", run_id).get("delivery"))

    def decision(self, producer: str, sequence: int, model: str | None) -> Decision | None:
        named = () if model is None else ("--model", model)
        return decision_of(self._ask("log", "outcome", *named, "--", producer, str(sequence)))

    def _ask(self, *arguments: str) -> dict[str, object]:
        if importlib.util.find_spec("typer") is None or importlib.util.find_spec("sqlalchemy") is None:
            raise Unavailable(
                f"reading the folder {self._folder} needs the parts of a server: pip install 'mltrail[server]'; "
                "or start one on it and read from its URL"
            )
        # Options first: what follows `--` is never taken for one.
        words, options = list(arguments), ["--data", str(self._folder), "--json"]
        place = words.index("--") if "--" in words else len(words)
        command = [sys.executable, "-m", "mltrail_cli", *words[:place], *options, *words[place:]]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"`{' '.join(command)}` did not end within {_TIMEOUT_S:g} s") from error
        answer = _json_object(done.stdout)
        if done.returncode == 0 and answer is not None:
            return answer
        code, message = (answer or {}).get("error_code"), (answer or {}).get("message")
        said = str(message or done.stderr.strip()[-1000:] or f"exit status {done.returncode}")
        if code in _NOT_FOUND_CODES:
            raise NotFound(said)
        if code in _INVALID_CODES:
            raise Invalid(said)
        raise Unavailable(f"`{' '.join(command[1:])}` failed: {said}")


def _json_object(text: str) -> dict[str, object] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
