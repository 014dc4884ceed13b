"""The API and the pages on given ports; imported by processes that answer requests only, since it takes a while."""

from __future__ import annotations

from urllib.parse import urlsplit

from mltrail_api.app import Application, create_app
from mltrail_api.identity.hosts import Hosts
from mltrail_api.pages.endpoints import router
from mltrail_api.services import compose
from mltrail_cli.composition import Ports
from mltrail_cli.settings import Settings
from mltrail_core.near import NearProjector


def application(ports: Ports, settings: Settings, near: NearProjector | None = None) -> Application:
    """Return the API and the pages on these ports; `near` is what it has of the server's own projector."""
    services = compose(
        ports.log,
        ports.read_model,
        ports.artifacts,
        ports.liveness,
        stages=settings.all_stages,
        webhook_secrets=settings.webhook_secrets_file,
        webhook_targets=settings.webhook_targets,
        near=near,
    )
    return create_app(services, pages=router, requires_token=settings.require_auth, hosts=_hosts(settings))


def _hosts(settings: Settings) -> Hosts:
    public_name = None if settings.public_url is None else urlsplit(settings.public_url).hostname
    return Hosts(settings.all_allowed_hosts, public_name)
