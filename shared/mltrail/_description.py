"""What a new run is told about itself: tags and small files, found out in the background."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mltrail import _surroundings as surroundings
from mltrail._arguments_shown import shown_arguments
from mltrail._git import git_diff, git_tags
from mltrail._machine import machine, machine_tags
from mltrail._packages import installed_packages

if TYPE_CHECKING:
    from mltrail._recording import Recording
    from mltrail._session import Session
    from mltrail._stream import Stream

ARGUMENTS = "mltrail.arguments"
DIFF_PATH = "mltrail/git.diff"
PACKAGES_PATH = "mltrail/requirements.txt"
MACHINE_PATH = "mltrail/machine.json"


def describe_run(session: Session, stream: Stream, recording: Recording) -> None:
    """Tag a new run with what is running; git, the packages and the machine are asked in the background."""
    program = surroundings.current_program()
    tags = surroundings.program_tags(program, session.writer.user)
    if recording.environment and len(sys.argv) > 1:
        tags[ARGUMENTS] = shown_arguments(sys.argv[1:])
    session.tag(stream, tags)
    if recording.code:
        what = f"git commit and diff of run {stream.run_id}"
        session.do_later(stream, what, lambda: _record_code(session, stream, program.folder))
    if recording.environment:
        what = f"packages and machine of run {stream.run_id}"
        session.do_later(stream, what, lambda: _record_environment(session, stream))


def keep_text(session: Session, stream: Stream, path: str, text: bytes, *, can_wait: bool = False) -> None:
    """Store a text that mltrail itself made as an artifact of the run, in the background; see `Session.upload`.

    Raises:
        OSError: the temporary folder is full.
    """
    with tempfile.NamedTemporaryFile(prefix="mltrail-") as file:
        file.write(text)
        file.flush()
        session.upload(stream, Path(file.name), path, can_wait=can_wait)


def _record_code(session: Session, stream: Stream, folder: Path) -> None:
    session.tag(stream, git_tags(folder))
    diff = git_diff(folder)
    if diff is not None:
        keep_text(session, stream, DIFF_PATH, diff, can_wait=True)


def _record_environment(session: Session, stream: Stream) -> None:
    known = machine(session.writer.host)
    session.tag(stream, machine_tags(known))
    keep_text(session, stream, MACHINE_PATH, json.dumps(known, indent=1).encode(), can_wait=True)
    keep_text(session, stream, PACKAGES_PATH, installed_packages().encode(), can_wait=True)
