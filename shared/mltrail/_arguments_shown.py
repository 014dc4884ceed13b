"""The command line of a program, with what looks like a secret left out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from mltrail._settings import without_password

HIDDEN = "***"

_SECRET = re.compile(
    r"pass(?:word|wd|phrase)?$|secret|token|credential|(?:api|access|private|auth)[-_.]?key", re.IGNORECASE
)
_NAMED = re.compile(r"(?P<name>-{0,2}[\w.\-]+)=(?P<value>.+)", re.DOTALL)
_OPTION = re.compile(r"--?[A-Za-z][\w.\-]*")
_PASSWORD_IN_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^/@\s]*@")


def shown_arguments(arguments: Sequence[str]) -> str:
    """Return the arguments as a shell would take them. The values of options and settings whose names speak of
    passwords, tokens, secrets or keys are hidden, and passwords in URLs left out."""
    shown: list[str] = []
    hides_next = False
    for argument in arguments:
        named = _NAMED.fullmatch(argument)
        if hides_next and not _OPTION.fullmatch(argument):
            shown.append(HIDDEN)
            hides_next = False
            continue
        hides_next = False
        if named is not None and _SECRET.search(named["name"]):
            shown.append(f"{named['name']}={HIDDEN}")
        elif _OPTION.fullmatch(argument) and _SECRET.search(argument):
            shown.append(argument)
            hides_next = True
        else:
            shown.append(_without_passwords(argument))
    return shlex.join(shown)


def _without_passwords(argument: str) -> str:
    before, separator, url = argument.rpartition("=") if not _PASSWORD_IN_URL.match(argument) else ("", "", argument)
    if not _PASSWORD_IN_URL.match(url):
        return argument
    try:
        return before + separator + without_password(url)
    except ValueError:  # no URL after all
        return before + separator + HIDDEN
