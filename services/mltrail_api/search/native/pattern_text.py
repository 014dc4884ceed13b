"""Regular expressions in PostgreSQL's words, spelled so that none of its own rules come into play."""

from __future__ import annotations

from typing import assert_never

from mltrail_api.search.native.pattern import (
    Characters,
    Choice,
    Edge,
    Node,
    Pattern,
    Ranges,
    Repeat,
    Sequence,
    inverted,
)

_LAST = 0x10FFFF


def postgres_text(pattern: Pattern) -> str:
    """Return what stands after `~` in PostgreSQL for a pattern that `parse_pattern` takes."""
    return f"***:{_text(pattern.root)}"


def _text(node: Node) -> str:
    match node:
        case Characters(ranges):
            return _class(ranges)
        case Edge(is_end):
            return "$" if is_end else "^"
        case Sequence(parts):
            return "".join(map(_text, parts)) or "(?:)"
        case Choice(parts):
            return f"(?:{'|'.join(map(_text, parts))})"
        case Repeat(part, least, most):
            return f"(?:{_text(part)}){{{least},{'' if most is None else most}}}"
        case _ as unreachable:
            assert_never(unreachable)


def _class(ranges: Ranges) -> str:
    if ranges[-1][1] == _LAST:
        # By what is left out: the character next to one that the caller wrote may be half a surrogate pair.
        left_out = inverted(ranges)
        return f"[^{_members(left_out)}]" if left_out else "."
    return f"[{_members(ranges)}]"


def _members(ranges: Ranges) -> str:
    return "".join(
        _escaped(chr(first)) if first == last else f"{_escaped(chr(first))}-{_escaped(chr(last))}"
        for first, last in ranges
    )


def _escaped(character: str) -> str:
    return (
        f"\\{character}" if character.isascii() and character.isprintable() and not character.isalnum() else character
    )
