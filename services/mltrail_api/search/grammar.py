"""The grammar of MLflow's filter and order strings, and where in a string an error is.

It follows what MLflow 3 accepts by way of sqlparse: comparisons in a row, AND between them as often as one likes. It
accepts a little more where sqlparse trips over words of SQL (`params.from`, `metrics.top.1`) or over blanks, and
refuses three accidents: a blank after the dot becoming part of the key, `[brackets]` as quotes, `"a"."b"` as a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from mltrail_core.errors import Invalid

MAX_CHARACTERS = 1_000_000
"""Of one filter string: room for 10,000 run ids in a list."""
_MAX_FAULT_CHARACTERS = 500
_SHOWN_CHARACTERS = 60
"""On each side of a fault."""

# Quotes inside quotes are doubled or follow a backslash, and stay so in the value, as in MLflow. lark takes the
# backslash away from an escaped double quote, hence the `["]`.
_GRAMMAR = r"""
filter: (_AND | _comparison)*
order: COLUMN DIRECTION?

_comparison: compared | listed | presence
compared: COLUMN COMPARATOR (STRING | NUMBER)
listed: COLUMN NOT? IN "(" text ("," text)* ","? ")"
text: LIST_STRING+
presence: COLUMN _IS NOT? _NULL

_AND.2: /and\b/i
_IS: /is\b/i
_NULL: /null\b/i
NOT: /not\b/i
IN: /in\b/i
DIRECTION: /(asc|desc)\b/i
COMPARATOR: /[<>=~!]+|(i|r)?like\b/i
COLUMN: _FIRST_PART ("." _PART)*
_FIRST_PART: /(?!(or|not)\b(?!\.))(\w+|`(``|[^`])*`|"(""|\\["]|[^"])*")/i
_PART: /(\w+|`(``|[^`])*`|"(""|\\["]|[^"])*"|'(''|\\'|[^'])*')/
STRING: /'(''|\\'|[^'])*'|"(""|\\["]|[^"])*"/
LIST_STRING: /'(\\.|[^'\\\n])*'|"(\\.|[^"\\\n])*"/
NUMBER: /-?(\d+(\.\d+)?e-?\d+|\d+\.\d*|\.\d+|\d+)(?!\w)/i
%ignore /\s+/
"""

NAMES = {
    "_AND": "AND",
    "_IS": "IS",
    "_NULL": "NULL",
    "NOT": "NOT",
    "IN": "IN",
    "DIRECTION": "ASC or DESC",
    "COMPARATOR": "a comparator",
    "COLUMN": "a column such as metrics.accuracy",
    "STRING": "a quoted string",
    "LIST_STRING": "a quoted string",
    "NUMBER": "a number",
    "LPAR": "'('",
    "RPAR": "')'",
    "COMMA": "','",
    "$END": "the end",
}
_FOUND = re.compile(r"\w+|\S")
_PARSER = Lark(_GRAMMAR, parser="lalr", lexer="contextual", start=["filter", "order"], maybe_placeholders=False)


@dataclass(frozen=True, slots=True)
class Source:
    """A string that a caller sent, and what it is called in messages: `filter string`, `order_by clause`.

    With `is_shown` a message ends in the line that the fault is in, and a caret under it.
    """

    name: str
    text: str
    is_shown: bool = False

    def error(self, position: int, fault: str) -> Invalid:
        """Return the error for a fault at the character `position`, counted from 0."""
        line = self.text.count("\n", 0, position) + 1
        line_begin = self.text.rfind("\n", 0, position) + 1
        column = position - line_begin + 1
        if len(fault) > _MAX_FAULT_CHARACTERS:  # it quotes what it complains about
            fault = fault[:_MAX_FAULT_CHARACTERS] + "…"
        shown = self._shown(line_begin, position) if self.is_shown else ""
        return Invalid(f"{self.name}, line {line}, column {column}: {fault}{shown}")

    def _shown(self, line_begin: int, position: int) -> str:
        """Return what stands around `position` in its line, and a caret below."""
        begin = max(line_begin, position - _SHOWN_CHARACTERS)
        around = self.text[begin : position + _SHOWN_CHARACTERS].split("\n")[0]
        shown = "".join(character if character.isprintable() else " " for character in around)
        return f"\n  {shown}\n  {' ' * (position - begin)}^"


def read_comparisons(source: Source) -> Iterator[Tree[Token]]:
    """Yield the comparisons of a filter string: trees `compared`, `listed` and `presence`.

    Raises:
        Invalid: it is malformed; the message says where.
    """
    for node in _read(source, "filter").children:
        assert isinstance(node, Tree)
        yield node


def read_order(source: Source) -> tuple[Token, bool]:
    """Return the column of an order_by clause and whether it ascends.

    Raises:
        Invalid: it is malformed; the message says where.
    """
    column, *direction = (child for child in _read(source, "order").children if isinstance(child, Token))
    return column, not (direction and direction[0].lower() == "desc")


def position_of(token: Token) -> int:
    """Return where `token` begins in its string, counted from 0."""
    return token.start_pos or 0


def check_characters(source: Source) -> None:
    """Raise unless the string can be searched for.

    Raises:
        Invalid: it is too long, or holds a character that no database stores.
    """
    if len(source.text) > MAX_CHARACTERS:
        raise Invalid(f"{source.name}: it has {len(source.text)} characters; at most {MAX_CHARACTERS} are allowed")
    for position, character in enumerate(source.text):
        if character == "\0" or "\ud800" <= character <= "\udfff":
            raise source.error(position, f"the character {character!r} can't be searched for")


def malformed(source: Source, error: UnexpectedInput, names: Mapping[str, str]) -> Invalid:
    """Return the error for a string that the parser stopped in: where, what it found and what could stand there.

    `names` says how terminals are called; one that has no name is not mentioned.
    """
    match error:
        case UnexpectedCharacters():
            position, expected = error.pos_in_stream or 0, set(error.allowed or ())
        case UnexpectedToken() if error.token.type != "$END":
            position, expected = position_of(error.token), set(error.expected)
        case _:
            position, expected = len(source.text), set(getattr(error, "expected", ()))
    found = _FOUND.search(source.text, position)
    what = f"found {found.group()!r}" if found else "the string ends"
    wanted = " or ".join(sorted({names[name] for name in expected if name in names})) or "the end"
    return source.error(found.start() if found else len(source.text), f"{what} where {wanted} is expected")


def _read(source: Source, start: str) -> Tree[Token]:
    check_characters(source)
    try:
        return _PARSER.parse(source.text, start=start)
    except UnexpectedInput as error:
        raise malformed(source, error, NAMES) from error
