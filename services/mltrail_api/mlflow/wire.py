"""Requests as protobuf-JSON writes them: snake_case or camelCase names, int64 as number or text, NaN as word or token.

Follows `mlflow.server.handlers._get_request_message`: unknown fields are ignored, null counts as absent, and an absent
text counts as an empty one. What stock lets through half parsed is refused here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Annotated, TypeVar, get_origin
from urllib.parse import parse_qsl

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError, from_json, to_json

from mltrail_core.errors import Invalid

MAX_BODY_BYTES = 32 << 20
"""No MLflow request is larger: the largest one that its limits allow, 100 params and 100 tags, is about 10 MB."""
_INT64 = range(-(2**63), 2**63)
_MAX_SHOWN = 200


def _int64(value: int) -> int:
    if value not in _INT64:
        raise PydanticCustomError("int64", "expected an integer of 64 bits")
    return value


def _int_of_text(text: str) -> int:
    try:
        return _int64(int(text)) if len(text) <= 20 and text.isascii() else _int64(2**63)
    except ValueError:
        raise PydanticCustomError("int64", "expected an integer of 64 bits") from None


def _int_of_float(value: float) -> int:
    if not math.isfinite(value) or value != int(value):
        raise PydanticCustomError("int64", "expected an integer of 64 bits")
    return _int64(int(value))


def _float_of_text(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise PydanticCustomError("double", "expected a number, or NaN, Infinity, -Infinity") from None


Text = Annotated[str, Strict()]
RequiredText = Annotated[str, Strict(), StringConstraints(min_length=1)]
Int64 = Annotated[
    Annotated[int, Strict(), AfterValidator(_int64)]
    | Annotated[str, Strict(), AfterValidator(_int_of_text)]
    | Annotated[float, Strict(), AfterValidator(_int_of_float)],
    Field(union_mode="left_to_right"),
]
Float64 = Annotated[
    Annotated[float, Strict()] | Annotated[str, Strict(), AfterValidator(_float_of_text)],
    Field(union_mode="left_to_right"),
]


class Message(BaseModel):
    """A request, or a part of one."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        protected_namespaces=(),
        hide_input_in_errors=True,
    )


class KeyValue(Message):
    """A param or tag. An absent value is an empty text, as in protobuf."""

    key: RequiredText
    value: Text | None = None

    @property
    def text(self) -> str:
        """The value, empty when absent."""
        return self.value or ""


M = TypeVar("M", bound=Message)


def fields_of_body(body: bytes) -> dict[str, object]:
    """Return the JSON object in a request's body; an empty body is an empty object.

    Raises:
        Invalid: not UTF-8, not JSON, not an object, nested too deeply, or with a NUL in a text.
    """
    if not body.strip():
        return {}
    fields = _json_of(body)
    if isinstance(fields, str):  # older clients encode twice, see `_get_normalized_request_json`
        fields = _json_of(fields.encode())
    if not isinstance(fields, dict):
        raise Invalid(f"the request's body should be a JSON object, found {_json_name(fields)}")
    return fields


def fields_of_query(query_string: bytes, model: type[Message]) -> dict[str, object]:
    """Return the fields in a URL's query, repeated ones as lists.

    Raises:
        Invalid: the query is not UTF-8, or a text holds a NUL.
    """
    try:
        pairs = parse_qsl(query_string.decode(), keep_blank_values=True, errors="strict", max_num_fields=1000)
    except ValueError as error:
        raise Invalid(f"the query can't be read: {error}") from error
    repeated = {name for name, field in model.model_fields.items() if get_origin(field.annotation) is list}
    fields: dict[str, object] = {}
    for name, value in pairs:
        _refuse_nul(value)
        if name in repeated:
            values = fields.setdefault(name, [])
            assert isinstance(values, list)
            values.append(value)
        else:
            fields.setdefault(name, value)  # the first one, as Flask's args.get
    return fields


def parse_message(model: type[M], fields: Mapping[str, object]) -> M:
    """Return the request that `fields` spell.

    Raises:
        Invalid: a required field is missing, or one has the wrong type; the message says which and why.
    """
    present = {name: value for name, value in fields.items() if value is not None}
    if "run_uuid" in present:  # the name of run_id before MLflow 1.0, still accepted
        present.setdefault("run_id", present["run_uuid"])
    for name in model.model_fields:
        camel = to_camel(name)
        if camel != name and name in present and camel in present:
            raise Invalid(f"Request specifies both '{name}' and '{camel}'; provide only one of them.")
    try:
        return model.model_validate(present)
    except ValidationError as error:
        raise Invalid(_fault(error.errors(include_url=False)[0])) from None


def json_bytes(answer: object) -> bytes:
    """Return an answer as JSON; NaN and ±Infinity become words, as protobuf-JSON has them."""
    return to_json(answer, inf_nan_mode="strings")


def _json_of(body: bytes) -> object:
    try:
        found: object = from_json(body)
    except ValueError as error:
        raise Invalid(f"the request's body is not JSON: {error}") from None
    # A raw NUL is no JSON, an escaped one holds these bytes; only then is a full look worth its time.
    if b"\\u0000" in body:
        _refuse_nul(found)
    return found


def _refuse_nul(value: object) -> None:
    texts = [value]
    while texts:
        match texts.pop():
            case str(text) if "\0" in text:
                raise Invalid(f"the text {text[:_MAX_SHOWN]!r} holds a NUL character, which no database keeps")
            case list(items):
                texts.extend(items)
            case dict(fields):
                texts.extend(fields.keys())
                texts.extend(fields.values())


def _fault(error: ErrorDetails) -> str:
    # Unions report one error for each of their members, named in the path after the field; the field is what counts.
    path = ""
    for part in error["loc"]:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part.isidentifier() and part not in ("int", "str", "float", "constrained-str"):
            path += f".{part}" if path else part
        else:
            break
    found = error["input"]
    if error["type"] == "missing" or (error["type"] == "string_too_short" and found == ""):
        return f"Missing value for required parameter '{path}'. See the API docs for more information about request parameters."  # noqa: E501
    try:
        shown = json.dumps(found, default=str)
    except ValueError:
        shown = repr(type(found))
    if len(shown) > _MAX_SHOWN:
        shown = shown[:_MAX_SHOWN] + "…"
    return (
        f"Invalid value {shown} for parameter '{path}' supplied: {error['msg']}. "
        f"Hint: Value was of type '{type(found).__name__}'."
    )


def _json_name(value: object) -> str:
    return {list: "an array", bool: "a boolean", type(None): "null", str: "a text"}.get(type(value), "a number")
