"""The file of webhook secrets: what signs deliveries is kept here and never in the log, under ids that events name."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mltrail_core.errors import Invalid, Unavailable

_OWNER_ONLY = stat.S_IRUSR | stat.S_IWUSR
_ID_BYTES = 12


class WebhookSecrets:
    """Secrets in one JSON file that only its owner may read; many processes may use it at once.

    Every API and every process that delivers needs the same file: on one machine a path, on several a shared volume.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def get(self, secret_id: str) -> str | None:
        """Return the secret, or None when the file, or the secret in it, is not there.

        Raises:
            Unavailable: the file can't be read.
        """
        return None if self._path is None else self._read(self._path).get(secret_id)

    def put(self, secret: str) -> str:
        """Keep a secret and return its new id; once this returns, it is on disk.

        Raises:
            Invalid: the server has no file for secrets.
            Unavailable: the file can't be written.
        """
        if self._path is None:
            raise Invalid(
                "this server has no place for webhook secrets; start it with MLTRAIL_WEBHOOK_SECRETS naming a file, "
                "or create the webhook without a secret"
            )
        secret_id = secrets.token_hex(_ID_BYTES)
        self._change(self._path, lambda kept: kept.update({secret_id: secret}))
        return secret_id

    def remove(self, secret_id: str) -> None:
        """Forget a secret that nothing is signed with any more; one that is not there is no error."""
        if self._path is not None and self.get(secret_id) is not None:
            self._change(self._path, lambda kept: kept.pop(secret_id, None))

    def _read(self, path: Path) -> dict[str, str]:
        try:
            kept = json.loads(path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise Unavailable(f"the file of webhook secrets {path} can't be read: {error}") from error
        return {str(secret_id): str(secret) for secret_id, secret in kept.items()}

    def _change(self, path: Path, change: Callable[[dict[str, str]], object]) -> None:
        """Write the changed file beside the old one and put it in its place, so that a reader never sees a half."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(path.with_name(path.name + ".lock")):
                kept = self._read(path)
                change(kept)
                fresh = path.with_name(path.name + ".new")
                with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ONLY), "w") as file:
                    json.dump(kept, file)
                    file.flush()
                    os.fsync(file.fileno())
                fresh.replace(path)
                _sync_folder(path.parent)
        except OSError as error:
            message = f"the file of webhook secrets {path} can't be written: {error}; set MLTRAIL_WEBHOOK_SECRETS"
            raise Unavailable(message) from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, _OWNER_ONLY), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
