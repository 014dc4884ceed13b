"""`mltrail demo`: watch processes train, see that nothing was lost, and look at the result."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from mltrail_cli.terminal import console, plain_table
from mltrail_core.errors import Unavailable

if TYPE_CHECKING:
    from mltrail_cli.demo.proof import Claim
    from mltrail_cli.demo.trainers import Trainer
    from mltrail_cli.demo.training import ClientName, Trained
    from mltrail_cli.server.embedded import EmbeddedServer

EXPERIMENT = "digits"


def add_to(app: typer.Typer) -> None:
    """Register the command of this module."""
    app.command("demo")(_demo)


def _demo(
    exit_at_end: Annotated[bool, typer.Option("--exit", help="End when all is done: status 0 if all held.")] = False,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Data folder; by default one that is removed at the end."),
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on; 127.0.0.1 by default.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port; by default 5000, or the next free one.")] = None,
    processes: Annotated[int, typer.Option("--processes", min=1, max=8, help="How many train at once.")] = 8,
) -> None:
    """Train small models in several processes at once, prove that nothing was lost, and stay up for a look."""
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise Unavailable(
            "the demo trains with scikit-learn, which is not installed: pip install 'mltrail[demo]'"
        ) from error
    out = console()
    with _folder(data) as folder, out.status("starting") as status:
        from mltrail_cli.event_lines import configure_event_lines
        from mltrail_cli.server.embedded import embedded_server
        from mltrail_cli.server.running import stop_on_signals
        from mltrail_cli.settings import Settings

        configure_event_lines(warnings_only=True)
        settings = Settings(
            data=folder,
            host=host or "127.0.0.1",
            port=port,
            log_url=None,
            store_url=None,
            artifacts_url=None,
            workers=1,
            require_auth=False,
        )
        with embedded_server(settings) as server:
            status.stop()
            all_hold = _show(out, server, processes)
            if not exit_at_end:
                stop = stop_on_signals()
                kept = "kept" if data is not None else "removed at the end; keep one with --data DIR"
                out.print(f"\nlook at it: [bold cyan]{server.address.url}[/]  [dim]Ctrl-C ends the demo[/]")
                out.print(f"[dim]data in {escape(str(folder))}, {kept}[/]", soft_wrap=True)
                stop.wait()
    if not all_hold:
        raise typer.Exit(1)


def _show(out: Console, server: EmbeddedServer, processes: int) -> bool:
    from mltrail_cli.demo import proof
    from mltrail_cli.demo.trainers import has_mlflow, planned_clients
    from mltrail_projector.loop import catch_up

    out.print(f"\n[bold]mltrail demo[/]  [dim]server at[/] [cyan]{server.address.url}[/]")
    clients = planned_clients(processes)
    stock = clients.count("mlflow")
    shares = f"{processes - stock} through the SDK, {stock} through the stock mlflow client"
    said = shares if has_mlflow() else "all through the SDK (the mlflow client is not installed)"
    out.print(f"[dim]{processes} processes train on scikit-learn's digits, {said}[/]\n", soft_wrap=True)
    trainers = _train(out, server.address.url, clients)
    catch_up(server.ports.log, server.ports.read_model)
    trained = [run for trainer in trainers for run in trainer.trained]
    _print_runs(out, trainers)
    claims = [proof.trained_claim(trainers), proof.content_claim(server.ports, trainers)]
    claims += [proof.delivery_claim(server.ports, trainers), proof.artifacts_claim(server.ports, trainers)]
    if trained:
        best = max(trained, key=lambda run: run.accuracy)
        claims.append(proof.registered_claim(server.ports, server.address.url, best))
    claims.append(proof.rebuilt_claim(server.ports))
    _print_claims(out, claims)
    return all(claim.holds for claim in claims)


def _train(out: Console, url: str, clients: Sequence[ClientName]) -> list[Trainer]:
    from mltrail_cli.demo.candidates import CANDIDATES, STEPS
    from mltrail_cli.demo.trainers import train_all
    from mltrail_cli.demo.training import Stepped

    bars = Progress(
        TextColumn("{task.fields[client]:<8}", style="dim"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        console=out,
        disable=not out.is_terminal,
    )
    tasks = [
        bars.add_task("[dim]starting[/]", client=client, total=len(candidates) * STEPS)
        for client, candidates in zip(clients, CANDIDATES, strict=False)
    ]

    def show(trainer: Trainer, line: Stepped | Trained) -> None:
        task = tasks[trainer.number]
        if isinstance(line, Stepped):
            done = len(trainer.trained) * STEPS + line.step
            bars.update(task, completed=done, description=escape(line.name))
        elif out.is_terminal:
            bars.update(task, description=f"{escape(line.name)} [dim]accuracy[/] {line.accuracy:.4f}")
        else:
            out.print(f"{trainer.client:<8} {line.name}: accuracy {line.accuracy:.4f}")

    with bars:
        return train_all(url, EXPERIMENT, clients, on_line=show)


def _print_runs(out: Console, trainers: Sequence[Trainer]) -> None:
    table = plain_table("run", "model", "accuracy", "points", "client", right=("accuracy", "points"))
    lines = [(trainer.client, run) for trainer in trainers for run in trainer.trained]
    for rank, (client, run) in enumerate(sorted(lines, key=lambda line: -line[1].accuracy)):
        accuracy = f"[bold green]{run.accuracy:.4f}[/]" if rank == 0 else f"{run.accuracy:.4f}"
        table.add_row(f"[dim]{run.run_id[:8]}[/]", escape(run.name), accuracy, str(run.points), f"[dim]{client}[/]")
    out.print()
    out.print(table)
    out.print()


def _print_claims(out: Console, claims: Sequence[Claim]) -> None:
    for claim in claims:
        mark = "[green]✓[/]" if claim.holds else "[red]✗[/]"
        style = "dim" if claim.holds else "red"
        out.print(f"{mark} {claim.text}  [{style}]{escape(claim.detail)}[/]", soft_wrap=True)


@contextlib.contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    """Give the data folder; one of our own is removed at the end."""
    if data is not None:
        yield data.expanduser().absolute()
        return
    folder = Path(tempfile.mkdtemp(prefix="mltrail-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
