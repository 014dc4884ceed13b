"""How every change of the registry is made: appended to `control`, then judged by its fold, which may refuse it."""

from __future__ import annotations

from collections.abc import Mapping

from mltrail_api.mlflow.endpoint import PENDING, Caller
from mltrail_api.mlflow.registry.names import MAX_VERSION, version_number
from mltrail_api.services import Services
from mltrail_core.errors import NotFound
from mltrail_core.events import Event
from mltrail_core.ids import CONTROL


async def change(services: Services, event: Event, caller: Caller) -> Mapping[str, str]:
    """Append the event and wait for its outcome; return the headers that say when there is none yet.

    Raises:
        Rejected: the fold refused it; nothing was changed.
        Unavailable: nothing was appended, or nobody knows.
    """
    written = await services.appender.append(CONTROL, [event], caller.actor())
    return {} if await services.visibility.outcome(written) else PENDING


def existing_number(name: str, text: str) -> int:
    """Return the number of a version that a change is about.

    Raises:
        Invalid: the text is no number.
        NotFound: no version was ever given this number.
    """
    number = version_number(text)
    if not 0 < number <= MAX_VERSION:
        raise no_version(name, text)
    return number


def no_version(name: str, number: str) -> NotFound:
    """Return the error for a version that is not there."""
    return NotFound(f"Model Version (name={name}, version={number[:300]}) not found")
