"""`mltrail tokens`: who may use a server. Works on the log itself, so it needs no token and no running server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape

from mltrail_api.identity.queries import TokenRow, load_token, load_tokens
from mltrail_api.pages.shown import shown_time
from mltrail_cli.appending import append_to_control
from mltrail_cli.composition import Ports
from mltrail_cli.options import ArtifactsUrl, AsJson, Data, LogUrl, StoreUrl
from mltrail_cli.reading import current_ports
from mltrail_cli.settings import read_settings
from mltrail_cli.terminal import console, plain_table, print_json
from mltrail_core.clock import now_us
from mltrail_core.errors import Invalid, NotFound
from mltrail_core.events import TokenCreated, TokenRevoked
from mltrail_core.token import label_fault, new_token, token_hash, user_fault

_SECONDS_IN = {"m": 60, "h": 3600, "d": 86_400}
_STYLE = {"valid": "green", "revoked": "red", "expired": "yellow"}


@dataclass(frozen=True, slots=True)
class ShownToken:
    """A token as `--json` prints it: never with its secret or hash."""

    token_id: str
    user: str
    label: str
    state: str
    """`valid`, `expired` or `revoked`."""
    created_us: int
    expires_us: int | None
    revoked_us: int | None


def add_to(app: typer.Typer) -> None:
    """Register the commands of this module."""
    tokens = typer.Typer(name="tokens", help="Say who may use a server.", no_args_is_help=True)
    tokens.command("create")(_create)
    tokens.command("list")(_list)
    tokens.command("revoke")(_revoke)
    app.add_typer(tokens)


def _create(
    user: Annotated[str, typer.Argument(metavar="USER", help="Who does what is done with it.")],
    label: Annotated[str, typer.Option("--label", "-l", help="What it is for: laptop, nightly training, …")] = "",
    expires: Annotated[
        str | None, typer.Option("--expires", help="30m, 12h or 90d from now, or a time (UTC): 2027-01-31T12:00.")
    ] = None,
    as_json: AsJson = False,
    data: Data = None,
    log_url: LogUrl = None,
    store_url: StoreUrl = None,
    artifacts_url: ArtifactsUrl = None,
) -> None:
    """Create an API token and print it, this once: the log keeps only its hash."""
    created_us = now_us()
    fault = user_fault(user) or label_fault(label)
    if fault is not None:
        raise Invalid(fault)
    expires_us = None if expires is None else _expiry(expires, created_us)
    token = new_token()
    event = TokenCreated(created_us, token.token_id, user, token_hash(token.text), label, expires_us)
    settings = read_settings(data=data, log_url=log_url, store_url=store_url, artifacts_url=artifacts_url)
    with current_ports(settings) as ports:
        appended_us = append_to_control(ports, event)
    row = TokenRow(token.token_id, user, label, event.secret_sha256, appended_us, expires_us, None)
    if as_json:
        print_json({"token": token.text, "created": _shown(row)})
        return
    out = console()
    until = "until it is revoked" if expires_us is None else f"until {shown_time(expires_us)} UTC"
    out.print(f"[dim]token[/]  {token.text}", soft_wrap=True)
    out.print(f"[dim]of[/]     {escape(user)}, {until} [dim](id {token.token_id})[/]", soft_wrap=True)
    out.print("It is shown this once: only its hash is kept. Use it as MLFLOW_TRACKING_TOKEN or MLTRAIL_TOKEN,")
    out.print("or as the password, with any user name, where a browser asks.")


def _list(
    user: Annotated[str | None, typer.Option("--user", help="Only the tokens of this user.")] = None,
    as_json: AsJson = False,
    data: Data = None,
    log_url: LogUrl = None,
    store_url: StoreUrl = None,
    artifacts_url: ArtifactsUrl = None,
) -> None:
    """List API tokens, the newest first, with those that are revoked or expired."""
    settings = read_settings(data=data, log_url=log_url, store_url=store_url, artifacts_url=artifacts_url)
    with current_ports(settings) as ports, ports.read_model.reading() as connection:
        found = [_shown(row) for row in load_tokens(connection, user)]
    if as_json:
        print_json({"tokens": found})
        return
    table = plain_table("id", "user", "label", "state", "created (UTC)", "expires (UTC)")
    for token in found:
        table.add_row(
            token.token_id,
            escape(token.user),
            escape(token.label),
            f"[{_STYLE[token.state]}]{token.state}[/]",
            shown_time(token.created_us),
            "never" if token.expires_us is None else shown_time(token.expires_us),
        )
    console().print(table)


def _revoke(
    token_id: Annotated[str, typer.Argument(metavar="TOKEN_ID", help="The id that `mltrail tokens list` shows.")],
    as_json: AsJson = False,
    data: Data = None,
    log_url: LogUrl = None,
    store_url: StoreUrl = None,
    artifacts_url: ArtifactsUrl = None,
) -> None:
    """Make an API token worth nothing: at once in the log, within 5 seconds on every server."""
    settings = read_settings(data=data, log_url=log_url, store_url=store_url, artifacts_url=artifacts_url)
    with current_ports(settings) as ports:
        row = _token(ports, token_id)
        if row is None:
            # Somebody may have pasted the token itself: it must not end in a terminal's log.
            raise NotFound(f"no token has the id {token_id[:16]!r}; `mltrail tokens list` shows those there are")
        if row.revoked_us is None:
            append_to_control(ports, TokenRevoked(now_us(), token_id))
            row = _token(ports, token_id) or row
    if as_json:
        print_json({"revoked": _shown(row)})
    else:
        console().print(f"token {token_id} of {escape(row.user)} is revoked")


def _token(ports: Ports, token_id: str) -> TokenRow | None:
    with ports.read_model.reading() as connection:
        return load_token(connection, token_id)


def _shown(row: TokenRow) -> ShownToken:
    return ShownToken(
        token_id=row.token_id,
        user=row.user,
        label=row.label,
        state=row.fault(now_us()) or "valid",
        created_us=row.created_us,
        expires_us=row.expires_us,
        revoked_us=row.revoked_us,
    )


def _expiry(expires: str, created_us: int) -> int:
    """Return the time that `--expires` names, µs UTC.

    Raises:
        Invalid: it names none, or one that has passed.
    """
    span = re.fullmatch(r"([0-9]{1,6})([mhd])", expires)
    if span is not None:
        expires_us = created_us + int(span[1]) * _SECONDS_IN[span[2]] * 1_000_000
    else:
        try:
            time = datetime.fromisoformat(expires)
        except ValueError as error:
            raise Invalid(f"--expires {expires!r} is no time; expected 30m, 12h, 90d or 2027-01-31T12:00") from error
        expires_us = int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1_000_000)
    if expires_us <= created_us:
        raise Invalid(f"--expires {expires!r} has passed already; expected a time in the future")
    return expires_us
