"""The options that many commands take, each declared once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

_WHERE = "Where the data is"
_URL = re.compile(r"[a-z][a-z+]+:/")


def _folder(given: Path | None) -> Path | None:
    """Return the folder; a URL would otherwise become an empty folder of that name, in which nothing is found."""
    if given is not None and _URL.match(str(given)):
        raise typer.BadParameter(
            f"{str(given)!r} is no folder; a URL goes to --log-url, --store-url or --artifacts-url"
        )
    return given


Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Data folder; ./mltrail-data by default [MLTRAIL_DATA]",
        rich_help_panel=_WHERE,
        callback=_folder,
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
