"""Names for runs that were given none."""

from __future__ import annotations

import secrets

_ADJECTIVES = (
    "amber bold brisk calm clear crisp dapper eager fair fleet gentle golden grand hardy keen lively lucid mellow "
    "merry nimble noble patient placid quick quiet rapid serene sharp silver steady sunny swift tidy vivid warm wise"
)
_NOUNS = (
    "badger beacon birch brook canyon cedar comet crane delta ember falcon fern fjord gale glade harbor heron island "
    "lark maple marten meadow mesa orchid otter pine plover quartz raven reef ridge river sparrow summit tern willow"
)


def new_run_name() -> str:
    """Return a name that people can say, such as `swift-heron-482`."""
    return f"{secrets.choice(_ADJECTIVES.split())}-{secrets.choice(_NOUNS.split())}-{secrets.randbelow(900) + 100}"
