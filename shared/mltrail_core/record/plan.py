"""How each event's fields are packed and checked, worked out once from the event's type hints."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgpack

from mltrail_core.errors import Invalid
from mltrail_core.events.text import Detached

Detach = Callable[[str], msgpack.ExtType]
Attach = Callable[[object], str]
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class _Form:
    """One field's form on the wire: `pack` gives what msgpack takes, `unpack` checks and gives the event's value."""

    name: str
    pack: Callable[[Any, Detach], object] | None
    """None when the value goes as it is."""
    unpack: Callable[[object, Attach], object]


@dataclass(frozen=True, slots=True)
class Plan:
    """The forms of one event's fields, in order; fields that have a default may be absent on the wire."""

    wire_name: str
    forms: tuple[tuple[str, _Form, object], ...]

    def pack(self, event: object, detach: Detach) -> dict[str, object]:
        """Return the event's fields as msgpack takes them; those equal to their default are left out."""
        packed: dict[str, object] = {}
        for field_name, form, default in self.forms:
            value = getattr(event, field_name)
            if value != default:
                packed[field_name] = value if form.pack is None else form.pack(value, detach)
        return packed

    def unpack(self, packed: Mapping[object, object], attach: Attach) -> list[Any]:
        """Return the values of the event's fields, in order, from what msgpack gave.

        Raises:
            Invalid: a field is missing, unknown, or has another type than the event says.
        """
        values: list[object] = []
        found = 0
        for field_name, form, default in self.forms:
            if field_name in packed:
                try:
                    values.append(form.unpack(packed[field_name], attach))
                except TypeError as error:
                    raise Invalid(
                        f"{self.wire_name}: field {field_name!r} should be {form.name}, "
                        f"found {type(packed[field_name]).__name__}"
                    ) from error
                found += 1
            elif default is MISSING:
                raise Invalid(f"{self.wire_name}: field {field_name!r} is missing")
            else:
                values.append(default)
        if found != len(packed):
            names = {field_name for field_name, _, _ in self.forms}
            unknown = sorted(repr(name)[:80] for name in packed if name not in names)
            raise Invalid(f"{self.wire_name}: fields {', '.join(unknown)} are not known to this mltrail")
        return values


def plan_of(event_type: type) -> Plan:
    """Return the plan of an event class.

    Raises:
        TypeError: a field has a type that the format has no form for (a mistake in the class, found at import).
    """
    hints = get_type_hints(event_type, include_extras=True)
    forms = tuple((field.name, _form_of(hints[field.name]), field.default) for field in fields(event_type))
    return Plan(event_type.WIRE_NAME, forms)  # type: ignore[attr-defined]


def _form_of(hint: Any) -> _Form:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in _SCALARS:
        return _SCALARS[hint]
    if origin is Annotated and any(isinstance(mark, Detached) for mark in hint.__metadata__):
        return _Form("a text", lambda text, detach: detach(text), lambda packed, attach: attach(packed))
    if origin in (Union, types.UnionType) and len(arguments) == 2 and arguments[1] is type(None):
        return _optional(_form_of(arguments[0]))
    if origin is tuple and arguments[-1] is Ellipsis:
        return _sequence(_form_of(arguments[0]))
    if origin is tuple:
        return _pair(*(_form_of(argument) for argument in arguments))
    raise TypeError(f"no wire form for {hint!r}")


def _int64(packed: object, _: Attach) -> int:
    if type(packed) is not int or packed not in _INT64:
        raise TypeError("int")
    return packed


def _int64_to_pack(value: Any, _: Detach) -> object:
    # msgpack itself takes up to 2**64 - 1, which no reader of an int64 would.
    if value not in _INT64:
        raise OverflowError(f"{value} is beyond 64 bits")
    return value


def refuse_nul(text: str) -> str:
    """Return the text, which has no NUL; PostgreSQL can't hold one, so no reader takes a record with one.

    Raises:
        Invalid: it has one.
    """
    if "\0" in text:
        raise Invalid(f"the text {text[:80]!r} holds a NUL character, which the read model can't keep")
    return text


def _text(packed: object, _: Attach) -> str:
    if type(packed) is not str:
        raise TypeError("str")
    return packed if "\0" not in packed else refuse_nul(packed)


def _bytes(packed: object, _: Attach) -> bytes:
    if type(packed) is not bytes:
        raise TypeError("bytes")
    return packed


_SCALARS: dict[object, _Form] = {
    int: _Form("an integer of 64 bits", _int64_to_pack, _int64),
    str: _Form("a text", lambda text, _: refuse_nul(text), _text),
    bytes: _Form("bytes", None, _bytes),
}


def _optional(form: _Form) -> _Form:
    pack = form.pack
    return _Form(
        f"{form.name} or nil",
        None if pack is None else lambda value, detach: None if value is None else pack(value, detach),
        lambda packed, attach: None if packed is None else form.unpack(packed, attach),
    )


def _sequence(form: _Form) -> _Form:
    pack = form.pack
    is_of_text = form is _SCALARS[str]

    def unpack(packed: object, attach: Attach) -> object:
        if not isinstance(packed, list):
            raise TypeError("list")
        if is_of_text and "\0" not in "".join(packed):  # joining anything but texts is a TypeError as well
            return tuple(packed)  # thousands of metric keys in a record, looked at all at once
        return tuple([form.unpack(item, attach) for item in packed])

    return _Form(
        f"a list, each {form.name}",
        None if pack is None else lambda items, detach: [pack(item, detach) for item in items],
        unpack,
    )


def _pair(first: _Form, second: _Form) -> _Form:
    def pack(pair: Any, detach: Detach) -> object:
        return [
            value if form.pack is None else form.pack(value, detach)
            for form, value in zip((first, second), pair, strict=True)
        ]

    def unpack(packed: object, attach: Attach) -> object:
        if not isinstance(packed, list) or len(packed) != 2:
            raise TypeError("pair")
        return (first.unpack(packed[0], attach), second.unpack(packed[1], attach))

    return _Form(f"a pair of {first.name} and {second.name}", pack, unpack)
