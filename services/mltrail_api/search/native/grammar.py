"""The native grammar: what MLflow's takes, and OR, NOT, parentheses, lists, ranges and regular expressions.

As in MLflow's, comparisons that stand side by side are joined by AND, and idle ANDs are passed over.
"""

from __future__ import annotations

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

from mltrail_api.search.grammar import NAMES, Source, check_characters, malformed

# COLUMN, STRING, LIST_STRING and NUMBER are those of MLflow's grammar, see `mltrail_api.search.grammar`.
_GRAMMAR = r"""
filter: _AND? _either?

_either: both | either
either: both (_OR both)+
both: _term (_AND? _term)*
_term: negation | "(" _either ")" | compared | listed | between | presence
negation: NOT _term

compared: COLUMN NOT? COMPARATOR (STRING | NUMBER)
listed: COLUMN NOT? IN "(" _item ("," _item)* ","? ")"
_item: text | NUMBER
text: LIST_STRING+
between: COLUMN NOT? _BETWEEN (STRING | NUMBER) _AND (STRING | NUMBER)
presence: COLUMN _IS NOT? (NULL | NAN)

_AND.2: /and\b(\s+and\b)*/i
_OR.2: /or\b(?!\.)/i
_IS: /is\b/i
_BETWEEN: /between\b/i
NULL: /null\b/i
NAN: /nan\b/i
NOT.2: /not\b(?!\.)/i
IN: /in\b/i
COMPARATOR: /[<>=~!]+|(i|r)?like\b/i
COLUMN: _FIRST_PART ("." _PART)*
_FIRST_PART: /(?!(or|not)\b(?!\.))(\w+|`(``|[^`])*`|"(""|\\["]|[^"])*")/i
_PART: /(\w+|`(``|[^`])*`|"(""|\\["]|[^"])*"|'(''|\\'|[^'])*')/
STRING: /'(''|\\'|[^'])*'|"(""|\\["]|[^"])*"/
LIST_STRING: /'(\\.|[^'\\\n])*'|"(\\.|[^"\\\n])*"/
NUMBER: /-?(\d+(\.\d+)?e-?\d+|\d+\.\d*|\.\d+|\d+)(?!\w)/i
_LAST_AND.3: /and\b(\s|and\b)*\Z/i
%ignore /\s+/
%ignore _LAST_AND
"""

_NAMES = NAMES | {
    "_OR": "OR",
    "_BETWEEN": "BETWEEN",
    "NULL": "NULL",
    "NAN": "NAN",
}
_PARSER = Lark(_GRAMMAR, parser="lalr", lexer="contextual", start="filter", maybe_placeholders=False)


def read_filter(source: Source) -> Tree[Token]:
    """Return the tree of a filter: `filter` over `either`, `both`, `negation`, `compared`, `listed`, `between` and
    `presence`.

    Raises:
        Invalid: it is malformed; the message shows where.
    """
    check_characters(source)
    try:
        return _PARSER.parse(source.text)
    except UnexpectedInput as error:
        raise malformed(source, error, _NAMES) from error
