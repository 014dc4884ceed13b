"""What a new run is told about itself: tags and small files, found out in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltrail import _surroundings as surroundings

if TYPE_CHECKING:
    from mltrail._session import Session
    from mltrail._stream import Stream


def describe_run(session: Session, stream: Stream) -> None:
    """Tag a new run with where it runs; git is asked in the background."""
    program = surroundings.current_program()
    session.tag(stream, surroundings.program_tags(program, session.writer.user))
    what = f"git commit of run {stream.run_id}"
    session.do_later(stream, what, lambda: session.tag(stream, surroundings.git_tags(program.folder)))
