"""docker-compose.yml and deploy/Dockerfile as values: read as their engines read them, without an engine."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
_VARIABLE = re.compile(r"\$\$|\$\{(\w+)(?:(:-|:\?)([^}]*))?\}")


class VariableMissing(Exception):
    """`${NAME:?message}` and NAME is not set or empty."""


@dataclass(frozen=True, slots=True)
class Service:
    """What is used of a service; variables are substituted."""

    name: str
    image: str | None
    target: str | None
    command: list[str]
    environment: dict[str, str]
    depends_on: dict[str, str]
    ports: list[str]
    volumes: list[str]
    healthcheck: list[str]
    restart: str | None

    @property
    def is_ours(self) -> bool:
        """Whether it is built from deploy/Dockerfile."""
        return self.target is not None


def variables() -> set[str]:
    """Return the names of all variables that the file substitutes."""
    text = (ROOT / "docker-compose.yml").read_text()
    return {match.group(1) for match in _VARIABLE.finditer(text) if match.group(1)}


def env_example() -> dict[str, str]:
    """Return the variables of .env.example and their values."""
    return parse_env((ROOT / ".env.example").read_text())


def parse_env(text: str) -> dict[str, str]:
    """Return the assignments of a .env file without quotes."""
    lines = (line.partition("=") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in lines}


def services(env: Mapping[str, str]) -> dict[str, Service]:
    """Return the services with variables from `env`; `VariableMissing` where one has to be set and is not."""
    document = yaml.safe_load(_substitute((ROOT / "docker-compose.yml").read_text(), env))
    found = {}
    for name, service in document["services"].items():
        found[name] = Service(
            name=name,
            image=service.get("image"),
            target=service.get("build", {}).get("target"),
            command=[str(word) for word in service.get("command", [])],
            environment={key: str(value) for key, value in service.get("environment", {}).items()},
            depends_on={key: value["condition"] for key, value in service.get("depends_on", {}).items()},
            ports=service.get("ports", []),
            volumes=service.get("volumes", []),
            healthcheck=service.get("healthcheck", {}).get("test", []),
            restart=service.get("restart"),
        )
    return found


def named_volumes() -> set[str]:
    """Return the volumes that the file declares."""
    return set(yaml.safe_load((ROOT / "docker-compose.yml").read_text())["volumes"])


@dataclass(frozen=True, slots=True)
class Stage:
    """One `FROM … AS name` of the Dockerfile and its instructions, in order."""

    name: str
    base: str
    instructions: list[tuple[str, str]]

    def all(self, instruction: str) -> list[str]:
        """Return the arguments of each such instruction."""
        return [arguments for word, arguments in self.instructions if word == instruction]


def dockerfile() -> dict[str, Stage]:
    """Return the stages of deploy/Dockerfile; it uses no line continuation."""
    stages: dict[str, Stage] = {}
    for line in (ROOT / "deploy" / "Dockerfile").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        word, _, arguments = line.partition(" ")
        if word == "FROM":
            base, _, name = arguments.split()
            stages[name] = Stage(name, base, [])
        else:
            list(stages.values())[-1].instructions.append((word, arguments))
    return stages


def image_command(stage: Stage) -> list[str]:
    """Return the CMD of a stage."""
    [command] = stage.all("CMD")
    return [str(word) for word in json.loads(command)]


def copied(stage: Stage) -> list[tuple[list[str], str]]:
    """Return sources and destination of each COPY from the build's context."""
    words = [shlex.split(arguments) for arguments in stage.all("COPY") if not arguments.startswith("--from")]
    return [(copy[:-1], copy[-1]) for copy in words]


def _substitute(text: str, env: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name, operator, word = match.groups()
        if name is None:
            return "$"
        if env.get(name):
            return env[name]
        if operator == ":-":
            return str(word)
        raise VariableMissing(f"{name}: {word}")

    return _VARIABLE.sub(value, text)
