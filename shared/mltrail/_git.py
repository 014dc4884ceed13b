"""What git says about the program's folder: commit, branch, origin, and what differs from the commit."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

from mltrail._settings import without_password

COMMIT = "mlflow.source.git.commit"
BRANCH = "mlflow.source.git.branch"
ORIGIN = "mlflow.source.git.repoURL"
DIRTY = "mltrail.git.dirty"

MAX_DIFF_BYTES = 1 << 20
"""Of a diff that is kept: people's own changes are far smaller, generated files that are tracked can be far larger."""
_TIMEOUT_S = 5.0


def git_tags(folder: Path) -> dict[str, str]:
    """Return commit, branch, origin and whether tracked files were changed; {} outside a git tree or without git."""
    commit = _answer(folder, "rev-parse", "HEAD")
    if not commit:
        return {}
    tags = {COMMIT: commit}
    branch = _answer(folder, "rev-parse", "--abbrev-ref", "HEAD")
    if branch and branch != "HEAD":
        tags[BRANCH] = branch
    origin = _answer(folder, "config", "--get", "remote.origin.url")
    if origin:
        tags[ORIGIN] = without_password(origin) if "://" in origin else origin
    status = _answer(folder, "status", "--porcelain", "--untracked-files=no")
    if status is not None:
        tags[DIRTY] = "true" if status else "false"
    return tags


def git_diff(folder: Path) -> bytes | None:
    """Return what differs in tracked files from the commit, as `git apply` takes it; None when nothing does, or git
    does not say. What is longer than `MAX_DIFF_BYTES` is cut after a line, and its last line says so."""
    command = _command(folder, "diff", "--no-color", "--no-ext-diff", "--no-textconv", "--full-index", "HEAD")
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError:
        return None
    with process:
        assert process.stdout is not None
        killing = threading.Timer(_TIMEOUT_S, process.kill)
        killing.daemon = True
        killing.start()
        diff: bytes = process.stdout.read(MAX_DIFF_BYTES + 1)
        is_cut = len(diff) > MAX_DIFF_BYTES
        if is_cut:
            process.kill()
        status = process.wait()
        killing.cancel()
    if is_cut:
        whole_lines = diff[: diff.rfind(b"\n", 0, MAX_DIFF_BYTES) + 1]
        return whole_lines + f"# cut: the diff is longer than {MAX_DIFF_BYTES} bytes\n".encode()
    return diff if diff and status == 0 else None


def _answer(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            _command(folder, *arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None  # no git, or a tree so large that its answer is not worth the wait
    return done.stdout.strip() if done.returncode == 0 else None


def _command(folder: Path, *arguments: str) -> list[str]:
    return ["git", "--no-optional-locks", "-C", str(folder), *arguments]
