"""Regular expressions of filters: a subset that every engine reads alike, and that can't be made to run long.

There are literal characters, `.`, classes, groups, alternatives and repetitions, but neither back references nor
looking around: what remains is a finite automaton, so matching takes one pass over the text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_CHARACTERS = 1_000
MAX_REPETITIONS = 255
"""As in PostgreSQL."""
MAX_STATES = 500
"""Of the automaton: a step costs at most so much, and `(a{255}){255}` is refused before anybody builds it."""
MAX_DEPTH = 30
_LAST = 0x10FFFF

Ranges = tuple[tuple[int, int], ...]
"""First and last code points, sorted, apart from each other."""


@dataclass(frozen=True, slots=True)
class Characters:
    """One character out of some."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Edge:
    """The beginning of the text, or its end."""

    is_end: bool


@dataclass(frozen=True, slots=True)
class Sequence:
    """One part after the other; none of them match the empty text."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the parts."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """The part so often; `most` None is without an end."""

    part: Node
    least: int
    most: int | None


Node = Characters | Edge | Sequence | Choice | Repeat


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression: `text` as the caller wrote it, `root` as it is understood."""

    text: str
    root: Node = field(repr=False)


class PatternError(ValueError):
    """A regular expression is malformed, or past a limit.

    Attributes:
        position: of the fault in the pattern, counted from 0.
    """

    def __init__(self, position: int, fault: str) -> None:
        super().__init__(fault)
        self.position = position


def parse_pattern(text: str) -> Pattern:
    """Return what a regular expression says.

    Raises:
        PatternError: it is malformed, not in the subset, or too large.
    """
    if len(text) > MAX_CHARACTERS:
        raise PatternError(0, f"a regular expression has at most {MAX_CHARACTERS} characters; this has {len(text)}")
    folds_case = text.startswith("(?i)")
    reader = _Reader(text, 4 if folds_case else 0, folds_case)
    root = reader.choice(0)
    if reader.position < len(text):
        raise PatternError(reader.position, "')' closes no group; write \\) for the character")
    if (states := _state_count(root)) > MAX_STATES:
        raise PatternError(0, f"the repetitions multiply to {states} states; at most {MAX_STATES} are allowed")
    return Pattern(text, root)


def _state_count(node: Node) -> int:
    match node:
        case Sequence(parts) | Choice(parts):
            return 1 + sum(map(_state_count, parts))
        case Repeat(part, least, most):
            return 1 + _state_count(part) * max(1, least + 1 if most is None else most)
        case _:
            return 1


_DIGITS: Ranges = ((0x30, 0x39),)
_WORD: Ranges = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_SPACE: Ranges = ((0x09, 0x0D), (0x20, 0x20))
_NAMED = {"d": _DIGITS, "w": _WORD, "s": _SPACE}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}


def merged(ranges: Iterator[tuple[int, int]] | Ranges) -> Ranges:
    """Return ranges sorted and apart from each other."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return tuple(found)


def inverted(ranges: Ranges) -> Ranges:
    """Return all characters but those of `ranges`. (NUL is in no text.)"""
    found, begin = [], 1
    for first, last in ranges:
        if begin < first:
            found.append((begin, first - 1))
        begin = last + 1
    return (*found, (begin, _LAST)) if begin <= _LAST else tuple(found)


def _folded(ranges: Ranges) -> Ranges:
    """Return ranges with the other case of each ASCII letter in them."""
    return merged((*ranges, *_shifted(ranges, 0x41, 0x5A, 32), *_shifted(ranges, 0x61, 0x7A, -32)))


def _shifted(ranges: Ranges, first: int, last: int, by: int) -> Iterator[tuple[int, int]]:
    for begin, end in ranges:
        if begin <= last and end >= first:
            yield max(begin, first) + by, min(end, last) + by


@dataclass(slots=True)
class _Reader:
    text: str
    position: int
    folds_case: bool

    def choice(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise PatternError(self.position, f"groups may be nested {MAX_DEPTH} deep")
        parts = [self.sequence(depth)]
        while self.taken("|"):
            parts.append(self.sequence(depth))
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def sequence(self, depth: int) -> Node:
        parts: list[Node] = []
        while self.position < len(self.text) and self.text[self.position] not in "|)":
            parts.append(self.repeated(depth))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def repeated(self, depth: int) -> Node:
        begin = self.position
        node = self.atom(depth)
        if (bounds := self.bounds()) is None:
            return node
        if isinstance(node, Edge):
            raise PatternError(begin, "the beginning or end of the text can't be repeated")
        self.taken("?")  # which match is preferred matters to nobody here
        if self.position < len(self.text) and self.text[self.position] in "*+?{":
            raise PatternError(self.position, f"{self.text[self.position]!r} repeats a repetition; use a group")
        return Repeat(node, *bounds)

    def bounds(self) -> tuple[int, int | None] | None:
        for sign, least, most in (("*", 0, None), ("+", 1, None), ("?", 0, 1)):
            if self.taken(sign):
                return least, most
        begin = self.position
        if not self.taken("{"):
            return None
        low, comma, high = self.until("}", "{").partition(",")
        if not _is_count(low) or (high and not _is_count(high)):
            raise PatternError(
                begin,
                f"expected {{m}}, {{m,}} or {{m,n}} with numbers up to {MAX_REPETITIONS}; write \\{{ for the sign",
            )
        least, most = int(low), int(high) if high else None if comma else int(low)
        if most is not None and most < least:
            raise PatternError(begin, f"{least} repetitions at least and {most} at most contradict each other")
        return least, most

    def atom(self, depth: int) -> Node:
        begin = self.position
        character = self.next()
        match character:
            case "(":
                if self.taken("?") and not self.taken(":"):
                    raise PatternError(begin, "only plain groups (…) and (?:…), and (?i) at the beginning, are allowed")
                node = self.choice(depth + 1)
                if not self.taken(")"):
                    raise PatternError(begin, "the group is not closed; write \\( for the character")
                return node
            case "[":
                return Characters(self.bracketed(begin))
            case ".":
                return Characters(inverted(()))
            case "^" | "$":
                return Edge(is_end=character == "$")
            case "*" | "+" | "?" | "{":
                raise PatternError(begin, f"{character!r} repeats nothing; write \\{character} for the character")
            case "\\":
                return Characters(self.cased(self.escaped(begin)))
            case _:
                return Characters(self.cased(_one(character)))

    def bracketed(self, begin: int) -> Ranges:
        is_inverted = self.taken("^")
        found: list[tuple[int, int]] = []
        while not found or not self.taken("]"):
            if self.position >= len(self.text):
                raise PatternError(begin, "the class is not closed; write \\[ for the character")
            first = self.member(begin)
            at = self.position
            if self.text[at : at + 1] == "-" and self.text[at + 1 : at + 2] not in ("", "]"):
                self.next()
                last = self.member(begin)
                if len(first) > 1 or len(last) > 1 or first[0][0] != first[0][1] or last[0][0] < first[0][0]:
                    raise PatternError(at, "a range goes from one character to a later one; write \\- for '-'")
                first = ((first[0][0], last[0][1]),)
            found.extend(first)
        ranges = self.cased(merged(tuple(found)))
        if is_inverted:
            ranges = inverted(ranges)
        if not ranges:
            raise PatternError(begin, "the class holds no character at all")
        return ranges

    def member(self, begin: int) -> Ranges:
        at = self.position
        character = self.next()
        if character == "[":
            raise PatternError(at, "a class in a class is not allowed; write \\[ for the character")
        return self.escaped(at) if character == "\\" else _one(character)

    def escaped(self, begin: int) -> Ranges:
        character = self.next(begin)
        if character.lower() in _NAMED:
            ranges = _NAMED[character.lower()]
            return ranges if character.islower() else inverted(ranges)
        if character in _CONTROLS:
            return _one(_CONTROLS[character])
        if character.isalnum() or character == "_":
            expected = "\\d \\w \\s \\D \\W \\S \\n \\t \\r \\f \\v, or a backslash before a sign"
            raise PatternError(begin, f"\\{character} is not known; expected {expected}")
        return _one(character)

    def cased(self, ranges: Ranges) -> Ranges:
        return _folded(ranges) if self.folds_case else ranges

    def next(self, begin: int | None = None) -> str:
        if self.position >= len(self.text):
            raise PatternError(self.position if begin is None else begin, "the regular expression ends too early")
        self.position += 1
        return self.text[self.position - 1]

    def taken(self, sign: str) -> bool:
        if self.text.startswith(sign, self.position):
            self.position += len(sign)
            return True
        return False

    def until(self, sign: str, opened_by: str) -> str:
        end = self.text.find(sign, self.position)
        if end < 0:
            raise PatternError(self.position - 1, f"{opened_by!r} is not closed; write \\{opened_by} for the character")
        begin, self.position = self.position, end + 1
        return self.text[begin:end]


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= MAX_REPETITIONS


def _one(character: str) -> Ranges:
    return ((ord(character), ord(character)),)
