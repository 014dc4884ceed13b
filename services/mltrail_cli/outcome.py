"""`mltrail log outcome`: what was decided about one record, named as its sender knows it."""

from __future__ import annotations

from typing import Annotated

import typer

from mltrail_api.v1.decided import load_outcome
from mltrail_cli.options import ArtifactsUrl, AsJson, Data, LogUrl, StoreUrl
from mltrail_cli.reading import current_ports
from mltrail_cli.settings import read_settings
from mltrail_cli.terminal import console, print_json
from mltrail_core.errors import Invalid
from mltrail_core.ids import CONTROL, PARTITIONS, Partition


def print_outcome(
    producer: Annotated[str, typer.Argument(metavar="PRODUCER", help="The producer's id.")],
    sequence: Annotated[int, typer.Argument(metavar="SEQUENCE", min=1, help="The record's number.")],
    partition: Annotated[str, typer.Option("--partition", help="00 … 15, or control.")] = CONTROL,
    model: Annotated[
        str | None, typer.Option("--model", help="Say which version of this registered model the record made.")
    ] = None,
    as_json: AsJson = False,
    data: Data = None,
    log_url: LogUrl = None,
    store_url: StoreUrl = None,
    artifacts_url: ArtifactsUrl = None,
) -> None:
    """Say whether a record was accepted, or why not."""
    if partition not in PARTITIONS:
        raise Invalid(f"--partition {partition}: expected one of {', '.join(PARTITIONS)}")
    settings = read_settings(data=data, log_url=log_url, store_url=store_url, artifacts_url=artifacts_url)
    with current_ports(settings) as ports, ports.read_model.reading() as connection:
        outcome = load_outcome(connection, ports.log, Partition(partition), producer, sequence, model)
    if as_json:
        print_json(outcome)
        return
    out = console()
    out.print(outcome.state + ("" if outcome.version is None else f", version {outcome.version} of {model}"))
    for rejection in outcome.rejections:
        out.print(f"  {rejection.wire_name or 'the record'}: {rejection.reason}: {rejection.message}", markup=False)
