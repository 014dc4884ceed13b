"""Print .env.example with fresh secrets: `python3 deploy/new_env.py > .env`. Needs nothing but Python."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

FRESH: dict[str, Callable[[], str]] = {
    "VALKEY_PASSWORD": lambda: secrets.token_hex(24),
    "POSTGRES_PASSWORD": lambda: secrets.token_hex(24),
    "GARAGE_RPC_SECRET": lambda: secrets.token_hex(32),
    "S3_ACCESS_KEY_ID": lambda: "GK" + secrets.token_hex(12),
    "S3_SECRET_ACCESS_KEY": lambda: secrets.token_hex(32),
}
"""Hex digits only: they stand in URLs as they are."""


def main() -> None:
    """Print the file."""
    example = Path(__file__).parents[1] / ".env.example"
    for line in example.read_text().splitlines():
        name, separator, value = line.partition("=")
        print(f"{name}={FRESH[name]()}" if separator and name in FRESH and not value else line)


if __name__ == "__main__":
    main()
