"""What a server says when it starts: where it is, where the data is, what an acknowledgement means, how to use it."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from mltrail_cli.composition import Ports
from mltrail_cli.server.listening import Address

_MEANING = {
    "fsync": "an acknowledged write has survived a power cut",
    "memory": "an acknowledged write may be LOST when the log's server ends",
}


def greet(
    console: Console, ports: Ports, *, role: str, version: str, address: Address | None, background: int | None
) -> None:
    """Print the lines.

    Args:
        console: where to.
        ports: what the server works on.
        role: what it does.
        version: of mltrail.
        address: None for a role that listens nowhere.
        background: id of the process that projects and does jobs, when that is another than this.
    """
    durability = ports.log.durability
    is_weak = durability == "memory"
    style = "bold yellow" if is_weak else "green"
    console.print(f"\n[bold]mltrail[/] {escape(version)}" + ("" if role == "all" else f" [dim]·[/] {role}"))

    def say(what: str, text: str) -> None:
        console.print(f"  [dim]{what:<12}[/]{text}", soft_wrap=True)  # never broken: lines are to be copied

    if address is not None:
        note = f"  [yellow]{escape(address.note)}[/]" if address.note else ""
        say("url", f"[bold cyan]{escape(address.url)}[/]{note}")
    say("log", escape(_shown(ports.log.url)))
    say("read model", escape(_shown(ports.read_model.url)))
    say("artifacts", escape(_shown(ports.artifacts.url)))
    say("durability", f"[{style}]{durability}[/] [dim]·[/] {_MEANING[durability]}")
    if background is not None:
        say("processes", f"this one answers; {background} projects and does jobs, and ends with this one")
    if address is not None:
        say("mlflow", f"export MLFLOW_TRACKING_URI={escape(address.url)}")
        say(
            "mltrail",
            f"export MLTRAIL_URI={escape(address.url)}  [dim]or[/]  mltrail.init({escape(repr(address.url))})",
        )
    if is_weak:
        console.print(
            "  [bold yellow]warning[/] [yellow]the log acknowledges before data is on disk; for Redis or Valkey set "
            "[bold]appendonly yes[/] and [bold]appendfsync always[/][/]",
            soft_wrap=True,
        )
    console.print("  [dim]stop with Ctrl-C[/]\n")


def _shown(url: str) -> str:
    return url.removeprefix("sqlite:///").removeprefix("file://") if "/" in url else url
