"""Requests as protobuf-JSON writes them: snake_case or camelCase names, int64 as number or text, NaN as word or token.

Follows `mlflow.server.handlers._get_request_message`: unknown fields are ignored, null counts as absent, and an absent
text counts as an empty one. What stock lets through half parsed is refused here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from typing import Annotated, TypeVar, get_origin
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, GetPydanticSchema, Strict, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel, to_snake
from pydantic_core import ErrorDetails, PydanticCustomError, core_schema, from_json, to_json

from mltrail_core.errors import Invalid

MAX_BODY_BYTES = 32 << 20
"""No MLflow request is larger: the largest one that its limits allow, 100 params and 100 tags, is about 10 MB."""
_MAX_SHOWN = 200


def _int_of_text(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise PydanticCustomError("int64", _EXPECTED_INT) from None


def _int_of_float(value: float) -> int:
    if not math.isfinite(value) or value != int(value):
        raise PydanticCustomError("int64", _EXPECTED_INT)
    return int(value)


def _float_of_text(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise PydanticCustomError("double", _EXPECTED_FLOAT) from None


_EXPECTED_INT = "expected an integer of 64 bits"
_EXPECTED_FLOAT = "expected a number, or NaN, Infinity or -Infinity"
_INT = core_schema.int_schema(strict=True, ge=-(2**63), le=2**63 - 1)
_TEXT = core_schema.str_schema(strict=True, max_length=64)
_FLOAT = core_schema.float_schema(strict=True)


def _int_schema(_: object, __: object) -> core_schema.CoreSchema:
    texts = core_schema.no_info_after_validator_function(_int_of_text, _TEXT)
    floats = core_schema.no_info_after_validator_function(_int_of_float, _FLOAT)
    return core_schema.union_schema(
        [_INT, core_schema.chain_schema([texts, _INT]), core_schema.chain_schema([floats, _INT])],
        mode="left_to_right",
        custom_error_type="int64",
        custom_error_message=_EXPECTED_INT,
    )


def _float_schema(_: object, __: object) -> core_schema.CoreSchema:
    texts = core_schema.no_info_after_validator_function(_float_of_text, _TEXT)
    return core_schema.union_schema(
        [_FLOAT, texts],
        mode="left_to_right",
        custom_error_type="double",
        custom_error_message=_EXPECTED_FLOAT,
    )


Text = Annotated[str, Strict()]
RequiredText = Annotated[str, Strict(), StringConstraints(min_length=1)]
Int64 = Annotated[int, GetPydanticSchema(_int_schema)]
"""A number, a number with nothing after the point, or a text of one; never true or false."""
Float64 = Annotated[float, GetPydanticSchema(_float_schema)]
"""A number, or a text of one, such as "NaN" or "-Infinity"."""


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
    repeated = {name for name, field in model.model_fields.items() if get_origin(field.annotation) is tuple}
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
    for name, camel in _two_names(model):
        if name in present and camel in present:
            raise Invalid(f"Request specifies both '{name}' and '{camel}'; provide only one of them.")
    try:
        return model.model_validate(present)
    except ValidationError as error:
        raise Invalid(_fault(error.errors(include_url=False)[0])) from None


@cache
def _two_names(model: type[Message]) -> tuple[tuple[str, str], ...]:
    """Return the fields that have another name in camelCase, with that name."""
    return tuple((name, to_camel(name)) for name in model.model_fields if to_camel(name) != name)


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
    path = ""
    for part in error["loc"]:
        name = part if isinstance(part, int) else to_snake(part)  # pydantic names the camelCase alias
        path += f"[{name}]" if isinstance(name, int) else f".{name}" if path else name
    found = error["input"]
    if error["type"] == "missing" or (error["type"] == "string_too_short" and found == ""):
        return f"Missing value for required parameter '{path}'. See the API docs for what the request takes."
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
