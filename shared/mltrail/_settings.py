"""Where a session sends to and how patient it is: read once, by `init`, from its arguments and the environment."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import unquote, urlsplit

DEFAULT_FOLDER = "./mltrail-data"
DEFAULT_EXPERIMENT = "Default"
DEFAULT_FLUSH_INTERVAL_S = 0.05
"""A call's data is on the disk at most this much later: what a SIGKILL can cost."""
SEND_INTERVAL_S = 0.2
"""What is small is sent this often: 5 appends a second are cheap for every server, and people watch live."""
DEFAULT_EXIT_TIMEOUT_S = 10.0
"""Longest a process waits at its end for a server that does not answer."""
DEFAULT_BLOCK_TIMEOUT_S = 1.0
"""Longest a call waits for room, once for each time the buffer fills up; then it drops until there is room again."""
MAX_POINTS = 131_072
"""Points waiting to be packed; each costs ~170 bytes as a tuple, so 22 MB."""
MAX_BUFFER_BYTES = 8 << 20
"""Params, tags and series waiting to be packed; as much again is being packed."""
MAX_OUTBOX_BYTES = 16 << 20
"""Frozen records in memory that wait for their acknowledgement; more of them are in the spool. With the two above, and
what is being sent: 64 MB at any lag."""
MAX_SPOOL_BYTES = 10 << 30
"""What a process may put on the disk: 350 million points."""

_RANK_VARIABLES = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK")

_HOST_AND_PORT = re.compile(r"[\w.-]+:\d{1,5}/?")

_TOKEN = re.compile(r"[!-~]+")
"""What a header may carry: ASCII without spaces and control characters."""

Kind = Literal["http", "redis", "folder"]
Durability = Literal["batch", "sync"]
"""`batch`: a call's data is on the disk within `flush_interval_s`. `sync`: when the call returns, after an fsync."""
WhenFull = Literal["block", "drop"]
"""What a call does once the buffer is full, and the spool with it: wait a bounded time, or drop and count at once."""


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
    when_full: WhenFull = "block"
    durability: Durability = "batch"
    is_offline: bool = False
    """Whether nothing is sent, only spooled."""
    spool_places: tuple[Path, ...] = ()
    """Where a spool is tried to be made, the best place first."""
    max_spool_bytes: int = MAX_SPOOL_BYTES
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
    when_full: str = "block",
    durability: str | None = None,
    offline: bool | None = None,
    spool: str | Path | None = None,
    max_spool_bytes: int = MAX_SPOOL_BYTES,
) -> Settings:
    """Return the settings that arguments and environment (MLTRAIL_URI, MLTRAIL_TOKEN, MLTRAIL_EXPERIMENT,
    MLTRAIL_RUN_ID, MLTRAIL_DURABILITY, MLTRAIL_OFFLINE, MLTRAIL_SPOOL) give.

    Raises:
        ValueError: the URI is of no known kind, the token can't be sent, a duration is negative, or a word is not one
            of those that are known.
    """
    for name, value in (
        ("flush_interval_s", flush_interval_s),
        ("exit_timeout_s", exit_timeout_s),
        ("block_timeout_s", block_timeout_s),
    ):
        if not value >= 0:
            raise ValueError(f"{name} is {value!r}; expected seconds, 0 or more")
    if not max_spool_bytes >= 0:
        raise ValueError(f"max_spool_bytes is {max_spool_bytes!r}; expected a number of bytes, 0 or more")
    destination = replace(
        parse_destination(str(uri or environment.get("MLTRAIL_URI") or DEFAULT_FOLDER)),
        token=_token(token or environment.get("MLTRAIL_TOKEN") or None),
    )
    is_offline = _is_set("MLTRAIL_OFFLINE", environment) if offline is None else offline
    return Settings(
        destination=destination,
        experiment=experiment or environment.get("MLTRAIL_EXPERIMENT") or DEFAULT_EXPERIMENT,
        run_id=environment.get("MLTRAIL_RUN_ID") or None,
        rank=_rank(environment),
        flush_interval_s=flush_interval_s,
        exit_timeout_s=exit_timeout_s,
        block_timeout_s=block_timeout_s,
        when_full=_when_full(when_full),
        durability=_durability(durability or environment.get("MLTRAIL_DURABILITY") or "batch"),
        is_offline=is_offline and destination.kind != "folder",  # a folder needs nobody to be reached
        spool_places=spool_places(environment, spool),
        max_spool_bytes=max_spool_bytes,
    )


def spool_places(environment: Mapping[str, str], spool: str | Path | None = None) -> tuple[Path, ...]:
    """Return where a spool is tried to be made: `spool`, else $MLTRAIL_SPOOL, else the user's own state folder; where
    that can't be written to, a folder of the user's among the temporary ones."""
    state = environment.get("XDG_STATE_HOME") or Path(environment.get("HOME") or Path.home(), ".local", "state")
    first = spool or environment.get("MLTRAIL_SPOOL") or Path(state, "mltrail", "spool")
    user = str(os.getuid()) if hasattr(os, "getuid") else environment.get("USERNAME", "user")
    last = Path(tempfile.gettempdir(), f"mltrail-spool-{user}")
    return Path(first).expanduser().absolute(), last


def parse_destination(uri: str) -> Destination:
    """Return what a tracking URI names.

    Raises:
        ValueError: it has a scheme that mltrail does not know, or no host; or a host and port and no scheme.
    """
    scheme, separator, _ = uri.partition("://")
    if not separator:
        if _HOST_AND_PORT.fullmatch(uri):
            raise ValueError(f"{uri!r} has no scheme; a server is http://{uri}, a folder of that name ./{uri}")
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


def _durability(word: str) -> Durability:
    for known in get_args(Durability):
        if word == known:
            return known  # type: ignore[no-any-return]
    raise ValueError(f"the durability (MLTRAIL_DURABILITY) is {word!r}; expected batch or sync")


def _when_full(word: str) -> WhenFull:
    for known in get_args(WhenFull):
        if word == known:
            return known  # type: ignore[no-any-return]
    raise ValueError(f"when_full is {word!r}; expected block or drop")


def _is_set(variable: str, environment: Mapping[str, str]) -> bool:
    word = environment.get(variable, "").strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("", "0", "false", "no", "off"):
        return False
    raise ValueError(f"{variable} is {word!r}; expected 1 or 0")


def _rank(environment: Mapping[str, str]) -> int:
    for variable in _RANK_VARIABLES:
        value = environment.get(variable, "")
        if value.isdecimal():
            return int(value)
    return 0
