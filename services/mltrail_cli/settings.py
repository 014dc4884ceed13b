"""The settings of every command: read once, from the command line's flags and the environment (`MLTRAIL_*`)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from mltrail_core.artifacts import NO_CLIENTS
from mltrail_core.errors import Invalid
from mltrail_core.registry_rules import stages_with
from mltrail_core.webhook_target import TargetRules

Role = Literal["all", "api", "projector", "jobs"]
DEFAULT_PORT = 5000


class Settings(BaseSettings):
    """Where the data is, and how a server serves it. A flag wins over the environment, that over the default."""

    model_config = SettingsConfigDict(env_prefix="MLTRAIL_", frozen=True, extra="forbid", env_ignore_empty=True)

    data: Path = Path("mltrail-data")
    """The data folder; what one of the three URLs names lies elsewhere."""
    log_url: str | None = None
    store_url: str | None = None
    artifacts_url: str | None = None
    artifacts_client_url: str | None = None
    """What clients reach the S3 service by. None: by the address that the server uses; `none`: they can't."""
    host: str = "127.0.0.1"
    port: int | None = Field(default=None, ge=0, le=65535)
    """None: 5000, or the next free one. 0: any free one."""
    public_url: str | None = None
    """What trainers reach the server by, when it is not its host and port: behind a proxy or in a container."""
    allowed_hosts: str | None = None
    """Names that callers without a token may know the server by, with commas between them; `*` stands for anything.
    None: its local names where it is reached at an address of this machine, any elsewhere."""
    role: Role = "all"
    workers: int = Field(default=1, ge=1, le=256)
    background: Literal["auto", "process", "thread"] = "auto"
    """Where role `all` projects and does jobs, when one process answers: in another, or in threads of the same one.
    `auto` is another process where there is a second core for it."""
    stages: str | None = None
    """Stages that versions of models may be in beside MLflow's four, with commas between them."""
    require_auth: bool = False
    """Whether the API serves nothing but /health and /version without a valid API token."""

    lost_after_s: int = Field(default=120, ge=60, le=10**9)
    """How long the writers of a run may be silent before it shows as lost; they give a sign of life every 10 s."""
    abandoned_after_h: float | None = Field(default=None, gt=0, le=10**6)
    """The same for runs of MLflow's clients, which say nothing unless they log. None: such runs are never lost."""

    @field_validator("artifacts_client_url")
    @classmethod
    def _is_client_url(cls, url: str | None) -> str | None:
        if url not in (None, NO_CLIENTS) and not url.startswith(("http://", "https://")):
            raise ValueError(f"expected http://…, https://… or {NO_CLIENTS}")
        return url

    webhook_secrets: Path | None = None
    """The file of what webhooks are signed with. None: `webhook-secrets.json` in the data folder, when that is used."""
    webhook_schemes: str = "https"
    """Schemes of URLs that webhooks may call, with commas between them."""
    webhook_private_addresses: bool = False
    """Whether webhooks may call addresses of private networks and of this machine."""
    webhook_attempts: int = Field(default=10, ge=1, le=100)
    """How often a webhook's delivery is tried before it is given up."""

    @field_validator("webhook_schemes")
    @classmethod
    def _are_webhook_schemes(cls, schemes: str) -> str:
        wanted = _split(schemes)
        if not wanted or not set(wanted) <= {"http", "https"}:
            raise ValueError("expected https, or http, or both with a comma between them")
        return schemes

    @field_validator("stages")
    @classmethod
    def _are_stages(cls, stages: str | None) -> str | None:
        try:
            stages_with(stages)
        except Invalid as fault:
            raise ValueError(str(fault)) from fault
        return stages

    @property
    def all_stages(self) -> tuple[str, ...]:
        """MLflow's four stages and the configured ones."""
        return stages_with(self.stages)

    @property
    def all_allowed_hosts(self) -> tuple[str, ...] | None:
        """The setting `allowed_hosts`, name by name."""
        return None if self.allowed_hosts is None else _split(self.allowed_hosts)

    @property
    def abandoned_after_s(self) -> int | None:
        """The setting `abandoned_after_h`, in seconds."""
        return None if self.abandoned_after_h is None else max(1, round(self.abandoned_after_h * 3600))

    @property
    def webhook_secrets_file(self) -> Path | None:
        """The file of webhook secrets, or None where nothing but URLs is known and no file was named."""
        if self.webhook_secrets is not None:
            return self.webhook_secrets.expanduser().absolute()
        return self.folder / "webhook-secrets.json" if self.uses_folder else None

    @property
    def webhook_targets(self) -> TargetRules:
        """Which URLs webhooks may call."""
        return TargetRules(_split(self.webhook_schemes), self.webhook_private_addresses)

    @property
    def folder(self) -> Path:
        """The data folder as an absolute path."""
        return self.data.expanduser().absolute()

    @property
    def log_location(self) -> str:
        """The URL or folder of the log."""
        return self.log_url or str(self.folder / "log")

    @property
    def read_model_location(self) -> str:
        """The URL or folder of the read model."""
        return self.store_url or str(self.folder / "read")

    @property
    def artifacts_location(self) -> str:
        """The URL or folder of the artifact store."""
        return self.artifacts_url or str(self.folder / "artifacts")

    @property
    def uses_folder(self) -> bool:
        """Whether anything lies in the data folder."""
        return None in (self.log_url, self.store_url, self.artifacts_url)


def _split(words: str) -> tuple[str, ...]:
    return tuple(word.strip().lower() for word in words.split(",") if word.strip())


def read_settings(**flags: object) -> Settings:
    """Return the settings that these flags give; a flag of None was not given.

    Raises:
        Invalid: a flag or a variable has no sense; the message names it.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        origin = f"--{name.replace('_', '-')}" if name in given else f"MLTRAIL_{name.upper()}"
        raise Invalid(f"{origin} is {first['input']!r}: {first['msg']}") from error
