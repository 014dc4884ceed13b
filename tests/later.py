"""Modules that are imported when something of them is first used, not when a test file names them.

Each pytest process imports every test file only to learn which tests there are; MLflow and scikit-learn take it five
seconds, fifteen where nothing is compiled yet, and not every process needs them.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from types import ModuleType

_loading = threading.RLock()
_ASKED_BY_IMPORTS = frozenset({"__path__", "__version__"})
"""Below it something is imported, or it says `from … import __version__`; other names with an underscore are what tools
ask everything for that a test file has."""


class _Later(ModuleType):
    """A module that was found and not run yet; what it is asked for first makes it an ordinary one, run."""

    def __getattr__(self, name: str) -> object:
        with _loading:
            if type(self) is _Later:
                spec = self.__spec__
                if spec is None or spec.loader is None or (name.startswith("_") and name not in _ASKED_BY_IMPORTS):
                    raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name, obj=self)
                self.__class__ = ModuleType  # type: ignore[assignment]  # may change, between modules
                if spec.submodule_search_locations is not None:
                    self.__path__ = spec.submodule_search_locations
                spec.loader.exec_module(self)
        return getattr(self, name)


def import_later(name: str) -> None:
    """Let `import name` cost nothing until an attribute is used; `from name import …` and `import name.below` use one.

    Raises:
        ModuleNotFoundError: there is no such module.
    """
    if name in sys.modules:
        return
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"module {name!r} is not installed; run: pip install -e '.[dev]'", name=name)
    module = importlib.util.module_from_spec(spec)
    if spec.submodule_search_locations is not None:
        del module.__path__  # asked for before anything below it is imported
    module.__class__ = _Later
    sys.modules[name] = module
