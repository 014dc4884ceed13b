"""One process's part of the spool, a folder that only the holder of its lock may send from.

<root>/<time>-<process id>-<random>/lock       flocked by the process while it lives, and by who sends for a dead one
                                    spool.db   frozen records and what is known of the artifacts
                                    files/     copies of artifacts
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from mltrail_core.errors import Conflict
from mltrail_core.forking import close_at_fork, inside_sqlite
from mltrail_core.log.network import refuse_network_file_system

_UNFINISHED, _REMOVED = ".new-", ".gone-"
_SWEEP_AFTER_S = 3600.0
"""A folder that somebody makes is left alone for so long."""


class SpoolFolder:
    """A folder whose lock this process holds; the kernel releases it when the process dies, however it does, and has no
    children that hold it too: each closes it right after the fork, and none is forked before the lock is known."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock: int | None = lock
        close_at_fork(self._keep, self.release)

    @classmethod
    def create(cls, root: Path) -> SpoolFolder:
        """Return a new folder below `root`, which is made when it is missing, for this user alone.

        Raises:
            OSError: it can't be written to, or has no locks.
            Invalid: it is on a network file system, where SQLite's locks do not hold.
        """
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        root = root.resolve()
        refuse_network_file_system(root)
        name = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.getpid()}-{secrets.token_hex(4)}"
        unfinished, path = root / f"{_UNFINISHED}{name}", root / name
        unfinished.mkdir(mode=0o700)
        (unfinished / "files").mkdir()
        with inside_sqlite():
            lock = os.open(unfinished / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                unfinished.rename(path)  # only now: nobody may take it for a dead process's before it is locked
                return cls(path, lock)
            except BaseException:
                os.close(lock)
                shutil.rmtree(unfinished, ignore_errors=True)
                raise

    @classmethod
    def claim(cls, path: Path) -> SpoolFolder | None:
        """Return the folder of a process that has died; None while somebody holds it, or when it is gone.

        Raises:
            Conflict: another user made it, or could have put it there.
        """
        with inside_sqlite():
            try:
                _refuse_foreign(path)
                lock = os.open(path / "lock", os.O_RDWR | os.O_CLOEXEC)
            except (FileNotFoundError, NotADirectoryError):
                return None
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Somebody may have sent and removed it between our opening the lock and having it.
                if os.stat(path / "lock").st_ino == os.fstat(lock).st_ino:
                    return cls(path, lock)
            except (BlockingIOError, FileNotFoundError):
                pass
            except BaseException:
                os.close(lock)
                raise
            os.close(lock)
            return None

    @property
    def database(self) -> Path:
        """Where the records are."""
        return self.path / "spool.db"

    def file(self, name: str) -> Path:
        """Return where the copy of an artifact is."""
        return self.path / "files" / name

    def release(self) -> None:
        """Let others claim the folder. In a forked child this leaves the parent's lock to the parent."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def remove(self) -> None:
        """Remove the folder with all it holds, and release it."""
        gone = self.path.with_name(f"{_REMOVED}{self.path.name}")
        try:
            self.path.rename(gone)  # at once, so that nobody claims a half of it
            with contextlib.suppress(FileNotFoundError):  # somebody who sweeps is at it as well
                shutil.rmtree(gone)
        finally:
            self.release()

    def _keep(self) -> None:
        """Before a fork the parent keeps its lock: a gap would let another process claim the folder."""


def spools_in(root: Path) -> list[Path]:
    """Return the folders of all processes, oldest first; `root` may be one of them. Sweeps what was left half made.

    Raises:
        OSError: `root` can't be read.
    """
    if (root / "spool.db").exists():
        return [root]
    if not root.is_dir():
        return []
    for path in _left_behind(root):
        shutil.rmtree(path, ignore_errors=True)
    return sorted(path for path in root.iterdir() if not path.name.startswith(".") and (path / "lock").exists())


def _refuse_foreign(path: Path) -> None:
    """Refuse what another user made: its rows name files that are uploaded and deleted, and records that are sent with
    this user's token; and anybody may make a folder of a known name below /tmp."""
    own = os.geteuid()
    owner, root_owner = path.lstat().st_uid, path.parent.stat().st_uid
    if owner != own or root_owner not in (own, 0):
        foreign, belongs_to = (path, owner) if owner != own else (path.parent, root_owner)
        raise Conflict(
            f"{foreign} belongs to user {belongs_to}, and this process runs as {own}; run `mltrail sync` as that user, "
            "or after a look into it copy the spool to a folder of your own"
        )


def _left_behind(root: Path) -> Iterator[Path]:
    for path in root.iterdir():
        if path.name.startswith(_REMOVED):  # by one who was killed meanwhile, or is at it: nobody needs what it holds
            yield path
        elif path.name.startswith(_UNFINISHED):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _SWEEP_AFTER_S:
                    yield path
