"""`mltrail server` and `mltrail ui`. Imports little: everything here delays the first answer to `/health`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mltrail_cli.options import ArtifactsUrl, Data, LogUrl, StoreUrl
from mltrail_cli.server.mlflow_places import places_of

_Host = Annotated[str | None, typer.Option("--host", "-h", help="Address to listen on; 127.0.0.1 by default.")]
_Port = Annotated[int | None, typer.Option("--port", "-p", help="Port; by default 5000, or the next free one.")]
_Workers = Annotated[int | None, typer.Option("--workers", "-w", help="Processes that answer requests.")]
_RequireAuth = Annotated[
    bool | None,
    typer.Option(
        "--require-auth/--no-require-auth",
        help="Serve nothing but /health and /version without an API token (`mltrail tokens create`) "
        "[MLTRAIL_REQUIRE_AUTH]",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("server", context_settings=_HELP)(_server)
    app.command("ui", context_settings=_HELP)(_ui)


_HELP = {"help_option_names": ["--help"]}  # -h is the host, as in `mlflow server`


def _server(
    data: Data = None,
    host: _Host = None,
    port: _Port = None,
    log_url: LogUrl = None,
    store_url: StoreUrl = None,
    artifacts_url: ArtifactsUrl = None,
    artifacts_client_url: Annotated[
        str | None,
        typer.Option("--artifacts-client-url", help="What clients reach S3 by, if not as this server does; or none."),
    ] = None,
    role: Annotated[str | None, typer.Option("--role", help="all, api, projector or jobs; all by default.")] = None,
    workers: _Workers = None,
    allowed_hosts: Annotated[
        str | None,
        typer.Option(
            "--allowed-hosts", help="Names it is called by where no token is shown: tracker.lan,*.example.org"
        ),
    ] = None,
    background: Annotated[
        str | None,
        typer.Option("--background", help="Where role all projects: auto, process or thread; a process by default."),
    ] = None,
    require_auth: _RequireAuth = None,
    stages: Annotated[
        str | None, typer.Option("--stages", help="Stages of model versions beside MLflow's: Canary,Shadow")
    ] = None,
    lost_after_s: Annotated[
        int | None,
        typer.Option("--lost-after-s", help="Silence after which a run shows as lost, 60 or more; 120 by default."),
    ] = None,
    abandoned_after_h: Annotated[
        float | None,
        typer.Option("--abandoned-after-h", help="The same for runs of MLflow's clients, in hours; never by default."),
    ] = None,
    webhook_secrets: Annotated[
        Path | None, typer.Option("--webhook-secrets", help="File of what webhooks are signed with.")
    ] = None,
    webhook_schemes: Annotated[
        str | None, typer.Option("--webhook-schemes", help="What webhooks may call: https,http; https by default.")
    ] = None,
    webhook_private_addresses: Annotated[
        bool | None,
        typer.Option("--webhook-private-addresses", help="Let webhooks call private networks and this machine."),
    ] = None,
    webhook_attempts: Annotated[
        int | None, typer.Option("--webhook-attempts", help="How often a delivery is tried; 10 by default.")
    ] = None,
    public_url: Annotated[
        str | None, typer.Option("--public-url", help="What trainers reach this server by, if not host and port.")
    ] = None,
) -> None:
    """Serve the API, and project the log into the read model."""
    from mltrail_cli.server.running import serve
    from mltrail_cli.settings import read_settings

    serve(
        read_settings(
            data=data,
            host=host,
            port=port,
            log_url=log_url,
            store_url=store_url,
            artifacts_url=artifacts_url,
            artifacts_client_url=artifacts_client_url,
            role=role,
            workers=workers,
            allowed_hosts=allowed_hosts,
            background=background,
            require_auth=require_auth,
            stages=stages,
            lost_after_s=lost_after_s,
            abandoned_after_h=abandoned_after_h,
            webhook_secrets=webhook_secrets,
            webhook_schemes=webhook_schemes,
            webhook_private_addresses=webhook_private_addresses,
            webhook_attempts=webhook_attempts,
            public_url=public_url,
        )
    )


def _ui(
    data: Data = None,
    backend_store_uri: Annotated[
        str | None,
        typer.Option("--backend-store-uri", help="As for `mlflow ui`: a folder, sqlite:///… or postgresql://…"),
    ] = None,
    default_artifact_root: Annotated[
        str | None, typer.Option("--default-artifact-root", help="As for `mlflow ui`: a folder or s3://…")
    ] = None,
    host: _Host = None,
    port: _Port = None,
) -> None:
    """Serve everything on ./mltrail-data; takes the places of data that `mlflow ui` takes."""
    from mltrail_cli.server.running import serve
    from mltrail_cli.settings import read_settings

    places = places_of(data, backend_store_uri, default_artifact_root)
    serve(
        read_settings(
            data=places.data,
            store_url=places.store_url,
            artifacts_url=places.artifacts_url,
            host=host,
            port=port,
            role="all",
        )
    )
