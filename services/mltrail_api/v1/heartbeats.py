"""`POST /api/v1/heartbeats`: the processes of trainers say that they are alive, each for all its runs at once."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from mltrail_api.services import Services

MAX_HEARTBEATS = 1000

router = APIRouter()


class Heartbeat(BaseModel):
    """A run, and the producer as which the process writes to it."""

    run_id: str
    producer: str


class Heartbeats(BaseModel):
    """The runs that a process has open."""

    heartbeats: Annotated[list[Heartbeat], Field(max_length=MAX_HEARTBEATS)]


class Noted(BaseModel):
    """How many heartbeats were noted."""

    noted: int


@router.post("/heartbeats", summary="Say that runs are being written to")
async def heartbeats(request: Request, body: Heartbeats) -> Noted:
    """Note that the writers of these runs are alive. Nothing goes into the log, and nobody asks whether they exist.

    Raises:
        Invalid: an id is none; nothing was noted.
        Unavailable: the marks can't be reached; the next heartbeat will do.
    """
    services: Services = request.app.state.services
    subjects = {subject for beat in body.heartbeats for subject in (beat.run_id, beat.producer)}
    await services.visibility.run(lambda: services.liveness.mark(sorted(subjects)))
    return Noted(noted=len(body.heartbeats))
