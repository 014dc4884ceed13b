"""A virtual environment that finds what a requirement needs in ours, and nothing else of it.

pip then has to install only what is under test: unpacking tens of packages that are already there costs a minute.
"""

from __future__ import annotations

from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def link_requirements(requirement: str, environment: Path) -> None:
    """Link all that a requirement needs, but not itself, from the running interpreter's packages into `environment`.

    What ours has not is left for pip to download.
    """
    [packages] = environment.glob("lib/python3*/site-packages")
    for needed in _needed(Requirement(requirement)):
        for file in needed.files or ():
            top = Path(file.parts[0])
            if top.name not in ("..", "__pycache__") and not (packages / top).exists():
                (packages / top).symlink_to(Path(str(needed.locate_file(top))).resolve())


def _needed(requirement: Requirement) -> list[Distribution]:
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    asked = [(canonicalize_name(requirement.name), extra) for extra in ("", *requirement.extras)]
    while asked:
        name, extra = asked.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            one = distribution(name)
        except PackageNotFoundError:
            continue
        found[name] = one
        for line in one.requires or ():
            below = Requirement(line)
            if below.marker is None or below.marker.evaluate({"extra": extra}):
                asked += [(canonicalize_name(below.name), more) for more in ("", *below.extras)]
    del found[canonicalize_name(requirement.name)]
    return list(found.values())
