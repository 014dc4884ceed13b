"""The Python packages that a run could import, as pip writes them down."""

from __future__ import annotations

import functools
import json
import platform
from importlib import metadata

from mltrail._settings import without_password


@functools.cache
def installed_packages() -> str:
    """Return the installed packages as a requirements file, in the order of their names; found out once a process.

    What was not installed from an index says where from, without any password.
    """
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name and name not in found:  # the first on the path is the one that is imported
            found[name] = _requirement(name, distribution)
    head = f"# Python {platform.python_version()} ({platform.python_implementation()}), {platform.platform()}\n"
    return head + "".join(found[name] + "\n" for name in sorted(found, key=str.lower))


def _requirement(name: str, distribution: metadata.Distribution) -> str:
    version = f"{name}=={distribution.version}"
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    except ValueError:
        return version
    match origin:
        case {"url": str(url), "vcs_info": {"vcs": str(vcs), "commit_id": str(commit)}}:
            return f"{name} @ {vcs}+{without_password(url)}@{commit}"
        case {"url": str(url), "dir_info": {}}:
            return f"{version}  # from {without_password(url)}"  # a folder that others don't have
        case {"url": str(url)}:
            return f"{name} @ {without_password(url)}"
    return version
