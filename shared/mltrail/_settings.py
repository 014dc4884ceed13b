"""Where a session sends to and how patient it is: read once, by `init`, from its arguments and the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

DEFAULT_FOLDER = "./mltrail-data"
DEFAULT_EXPERIMENT = "Default"
DEFAULT_FLUSH_INTERVAL_S = 0.2
"""A call's data leaves at most this much later: 5 appends a second are cheap everywhere, and people watch live."""
DEFAULT_EXIT_TIMEOUT_S = 10.0
"""Longest a process waits at its end for a server that does not answer."""
DEFAULT_BLOCK_TIMEOUT_S = 1.0
"""Longest a call waits for room, once for each time the buffer fills up; then it drops until there is room again."""
MAX_POINTS = 131_072
"""Points waiting to be packed; each costs ~170 bytes as a tuple, so 22 MB."""
MAX_BUFFER_BYTES = 16 << 20
"""Params, tags and series waiting to be packed."""
MAX_OUTBOX_BYTES = 24 << 20
"""Frozen records waiting for their acknowledgement. With the two above: 64 MB at any lag."""

_RANK_VARIABLES = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK")

_TOKEN = re.compile(r"[!-~]+")
"""What a header may carry: ASCII without spaces and control characters."""

Kind = Literal["http", "redis", "folder"]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a session sends to: an API's URL, a Redis URL, or an absolute folder."""

    kind: Kind
    address: str
    token: str | None = field(default=None, repr=False, compare=False)
    """The API token that is shown to a server."""

    @property
    def shown(self) -> str:
        """The address without a password."""
        if self.kind == "folder":
            return self.address
        return without_password(self.address)


@dataclass(frozen=True, slots=True)
class Settings:
    """All that `init` decides."""

    destination: Destination
    experiment: str = DEFAULT_EXPERIMENT
    run_id: str | None = None
    """The run that the first `start_run` of the process joins."""
    rank: int = 0
    flush_interval_s: float = DEFAULT_FLUSH_INTERVAL_S
    exit_timeout_s: float = DEFAULT_EXIT_TIMEOUT_S
    block_timeout_s: float = DEFAULT_BLOCK_TIMEOUT_S
    max_points: int = MAX_POINTS
    max_buffer_bytes: int = MAX_BUFFER_BYTES
    max_outbox_bytes: int = MAX_OUTBOX_BYTES


def read_settings(
    environment: Mapping[str, str],
    *,
    uri: str | Path | None = None,
    token: str | None = None,
    experiment: str | None = None,
    flush_interval_s: float = DEFAULT_FLUSH_INTERVAL_S,
    exit_timeout_s: float = DEFAULT_EXIT_TIMEOUT_S,
    block_timeout_s: float = DEFAULT_BLOCK_TIMEOUT_S,
) -> Settings:
    """Return the settings that arguments and environment (MLTRAIL_URI, MLTRAIL_TOKEN, MLTRAIL_EXPERIMENT,
    MLTRAIL_RUN_ID) give.

    Raises:
        ValueError: the URI is of no known kind, the token can't be sent, or a duration is negative.
    """
    for name, value in (
        ("flush_interval_s", flush_interval_s),
        ("exit_timeout_s", exit_timeout_s),
        ("block_timeout_s", block_timeout_s),
    ):
        if not value >= 0:
            raise ValueError(f"{name} is {value!r}; expected seconds, 0 or more")
    return Settings(
        destination=replace(
            parse_destination(str(uri or environment.get("MLTRAIL_URI") or DEFAULT_FOLDER)),
            token=_token(token or environment.get("MLTRAIL_TOKEN") or None),
        ),
        experiment=experiment or environment.get("MLTRAIL_EXPERIMENT") or DEFAULT_EXPERIMENT,
        run_id=environment.get("MLTRAIL_RUN_ID") or None,
        rank=_rank(environment),
        flush_interval_s=flush_interval_s,
        exit_timeout_s=exit_timeout_s,
        block_timeout_s=block_timeout_s,
    )


def parse_destination(uri: str) -> Destination:
    """Return what a tracking URI names.

    Raises:
        ValueError: it has a scheme that mltrail does not know, or no host.
    """
    scheme, separator, _ = uri.partition("://")
    if not separator:
        return Destination("folder", str(Path(uri).expanduser().absolute()))
    parts = urlsplit(uri)
    if scheme in ("http", "https") and parts.netloc:
        return Destination("http", uri.rstrip("/"))
    if scheme in ("redis", "rediss", "valkey", "valkeys") and parts.netloc:
        return Destination("redis", uri)
    if scheme == "file" and parts.netloc in ("", "localhost"):
        return Destination("folder", str(Path(unquote(parts.path))))
    raise ValueError(
        f"{uri!r} is no place to log to; expected http://host:port, redis://host:port/db or the path of a folder"
    )


def without_password(url: str) -> str:
    """Return a URL that may be printed: without user, password and query."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def _token(token: str | None) -> str | None:
    """Return a token that a header can carry. What is wrong is said without the token: it is a secret all the same."""
    token = None if token is None else token.strip()
    if token and not _TOKEN.fullmatch(token):
        raise ValueError(
            "the API token (MLTRAIL_TOKEN, or init's token) holds a space, a line break or a letter beyond ASCII; "
            "was it copied whole?"
        )
    return token or None


def _rank(environment: Mapping[str, str]) -> int:
    for variable in _RANK_VARIABLES:
        value = environment.get(variable, "")
        if value.isdecimal():
            return int(value)
    return 0
