"""The console script `mltrail`: finds the command, and says what went wrong without a traceback."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec

import typer

from mltrail_core.errors import MltrailError

_MODULE_OF = {
    "server": "mltrail_cli.server.command",
    "ui": "mltrail_cli.server.command",
    "demo": "mltrail_cli.demo.command",
    "experiments": "mltrail_cli.experiments",
    "runs": "mltrail_cli.runs.command",
    "registry": "mltrail_cli.registry",
    "artifacts": "mltrail_cli.artifacts",
    "log": "mltrail_cli.log",
    "rebuild": "mltrail_cli.rebuilding",
    "sync": "mltrail_cli.sync",
    "import": "mltrail_cli.importing.command",
    "tokens": "mltrail_cli.tokens",
}
"""Where each command lives. Only the module of the command that was called is imported: a server answers at once."""

_OF_TRAINERS = ("sync",)
"""What a machine without the parts of a server can do."""


def main() -> None:
    """Run the command that the process was called with, and exit with its status."""
    # Click asks for shell completions in the environment, without a command: then all of them are needed.
    called = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    names = [called] if called in _MODULE_OF else list(_MODULE_OF)
    if sys.argv[1:] == ["--version"]:
        names = []
    elif not _has_server_parts():
        if called in _MODULE_OF and called not in _OF_TRAINERS:
            sys.exit(f"mltrail: `mltrail {called}` needs the parts of a server: pip install 'mltrail[server]'")
        names = list(_OF_TRAINERS)
    app = typer.Typer(
        name="mltrail",
        help="Experiment tracking and model registry on an append-only event log.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for module in dict.fromkeys(_MODULE_OF[name] for name in names):
        import_module(module).add_to(app)
    try:
        app()
    except MltrailError as error:
        sys.exit(_say(error))


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from mltrail_core.version import mltrail_version

        print(mltrail_version())
        raise typer.Exit


def _root(
    version: bool = typer.Option(
        False, "--version", is_eager=True, callback=_print_version, help="Print the version and exit."
    ),
) -> None:
    """Take the options of every command."""


def _has_server_parts() -> bool:
    return all(find_spec(name) is not None for name in ("sqlalchemy", "fastapi", "structlog"))


def _say(error: MltrailError) -> int:
    """Tell people on stderr, and machines (`--json`) in the words of the REST protocol; return the exit status."""
    if "--json" in sys.argv and _has_server_parts():
        from mltrail_api.mlflow.errors import answer_of

        print(answer_of(error).body().decode())
    else:
        print(f"mltrail: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    main()
