"""Names of columns and texts in lists, as MLflow writes them: what stands in quotes and after backslashes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lark import Token, Tree

from mltrail_api.search.expression import Column, Entity
from mltrail_api.search.grammar import Source, position_of
from mltrail_api.search.subject import KEYS_OF, Subject

_ESCAPE = re.compile(
    r"""\\(\n|['"\\abfnrtv]|[0-3]?[0-7]{1,2}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U000[0-9a-fA-F]{5}|U0010[0-9a-fA-F]{4})"""
)
_ESCAPES = {"\n": "", "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def column_of(source: Source, subject: Subject, token: Token, attributes: Mapping[str, str]) -> Column:
    """Return the column of `subject` that a token names; `attributes` are the names that an attribute may have.

    Raises:
        Invalid: there is no such column; the message says where it is named.
    """
    entity_name, dot, key = token.partition(".")
    if not dot:
        entity, key = Entity.ATTRIBUTE, str(entity_name)
    elif without_quotes(entity_name, "`") in subject.entities:
        entity = subject.entities[without_quotes(entity_name, "`")]
    else:
        expected = ", ".join(subject.entities)
        raise source.error(position_of(token), f"{entity_name!r} is not one of {expected}")
    key = without_quotes(without_quotes(key, "'", '"'), "`")
    if entity is Entity.ATTRIBUTE:
        if key not in attributes:
            raise source.error(position_of(token), f"{key!r} is not one of the attributes {', '.join(attributes)}")
        key = attributes[key]
    keys = KEYS_OF.get(entity)
    if keys is not None and key not in keys:
        raise source.error(position_of(token), f"{key!r} is not one of a {entity}'s {', '.join(keys)}")
    return Column(entity, key)


def listed_text(source: Source, node: Tree[Token]) -> str:
    """Return the text of an element of a list: strings of Python, side by side, as MLflow reads lists with
    `ast.literal_eval`.

    Raises:
        Invalid: it holds a character that no database stores.
    """
    tokens = [child for child in node.children if isinstance(child, Token)]
    text = "".join(_ESCAPE.sub(_unescaped, token[1:-1]) for token in tokens)
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text):
        raise source.error(position_of(tokens[0]), f"{text!r} holds a character that can't be searched for")
    return text


def without_quotes(text: str, *quotes: str) -> str:
    """Return `text` without the quotes around it, if it begins and ends with the same of `quotes`."""
    if len(text) >= 2 and text[0] == text[-1] and text[0] in quotes:
        return text[1:-1]
    return text


def _unescaped(found: re.Match[str]) -> str:
    escape = found[1]
    if escape in _ESCAPES:
        return _ESCAPES[escape]
    if escape[0] in "xuU":
        return chr(int(escape[1:], 16))
    return chr(int(escape, 8)) if escape[0].isdigit() else escape
