"""The options that many commands take, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_WHERE = "Where the data is"

Data = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="DIR", help="Data folder; ./mltrail-data by default [MLTRAIL_DATA]", rich_help_panel=_WHERE
    ),
]
LogUrl = Annotated[
    str | None,
    typer.Option(
        "--log-url", metavar="URL", help="redis://host:port/db instead of DIR/log [MLTRAIL_LOG_URL]",
        rich_help_panel=_WHERE,
    ),
]  # fmt: skip
StoreUrl = Annotated[
    str | None,
    typer.Option(
        "--store-url", metavar="URL", help="postgresql://… instead of DIR/read [MLTRAIL_STORE_URL]",
        rich_help_panel=_WHERE,
    ),
]  # fmt: skip
ArtifactsUrl = Annotated[
    str | None,
    typer.Option(
        "--artifacts-url", metavar="URL", help="s3://bucket/prefix instead of DIR/artifacts [MLTRAIL_ARTIFACTS_URL]",
        rich_help_panel=_WHERE,
    ),
]  # fmt: skip
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
