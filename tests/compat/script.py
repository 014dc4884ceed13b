"""Little scripts of REST calls, and how an answer is told so that two servers' answers can be compared.

A text may hold `{name}`: what an earlier call saved under that name, or `{unique}`, a word that only this run of the
case has. In answers what was saved becomes `{name}` again, times of the last hour become `now`, page tokens become
`token`, and what is empty is left out, because a client of protobuf-JSON can't tell it from what is absent.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import httpx

Json = object
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_MIN_WORD_CHARACTERS = 8
"""A shorter saved value, such as an experiment's id on the stock server, is recognised as a whole id only."""
_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `save` says which places of the answer (`run.info.run_id`) are kept under which names."""

    method: str
    path: str
    body: Json = None
    query: Mapping[str, object] = field(default_factory=dict)
    save: Mapping[str, str] = field(default_factory=dict)
    raw_body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """Calls whose answers two servers must agree on.

    `superset` is the reason why ours answers otherwise on purpose; such a case fails as soon as the two agree.
    """

    name: str
    calls: tuple[Call, ...]
    superset: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Cases that begin with what the calls of `setup` made; those are made once for all of them."""

    name: str
    setup: tuple[Call, ...]
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """An answer, told so that it can be compared: status class, error code, data."""

    status: str
    error_code: str
    data: Json


def post(path: str, body: Json = None, **save: str) -> Call:
    """Return a POST of JSON."""
    return Call("POST", path, body, save=save)


def get(path: str, query: Mapping[str, object] | None = None, **save: str) -> Call:
    """Return a GET; a list in the query is said once for each item."""
    return Call("GET", path, query=query or {}, save=save)


def call(method: str, path: str, body: Json = None) -> Call:
    """Return a call by another method."""
    return Call(method, path, body)


def raw(path: str, body: bytes) -> Call:
    """Return a POST of bytes that need not be JSON."""
    return Call("POST", path, raw_body=body)


def case(name: str, *calls: Call, superset: str = "") -> Case:
    """Return a case."""
    return Case(name, calls, superset)


class Conversation:
    """Calls on one server, and what was saved from their answers."""

    def __init__(self, client: httpx.Client, saved: Mapping[str, str] | None = None) -> None:
        self._client = client
        self.saved = {**(saved or {}), "unique": secrets.token_hex(6)}

    def run(self, calls: Sequence[Call]) -> list[Told]:
        """Make the calls, one after the other, and tell their answers."""
        return [self.tell(one) for one in calls]

    def tell(self, one: Call) -> Told:
        """Make one call and tell its answer."""
        response = self._client.request(
            one.method,
            _url(self._filled(one.path)),
            params=self._filled(dict(one.query)),  # type: ignore[arg-type]
            **({"content": one.raw_body} if one.raw_body is not None else {}),  # type: ignore[arg-type]
            **({"json": self._filled(one.body)} if one.body is not None else {}),  # type: ignore[arg-type]
            headers={"Content-Type": "application/json"},
        )
        status = f"{response.status_code // 100}xx"
        try:
            answer = response.json() if response.content else {}
        except ValueError:
            return Told(status, "", None)
        if response.status_code != 200:
            return Told(status, answer.get("error_code", ""), None)
        for name, place in one.save.items():
            self.saved[name] = _at(answer, place)
        return Told(status, "", self._told("", answer))

    def _filled(self, value: Json) -> Json:
        match value:
            case str(text):
                return _PLACEHOLDER.sub(lambda found: self.saved.get(found[1], found[0]), text)
            case list(items):
                return [self._filled(item) for item in items]
            case dict(fields):
                return {self._filled(key): self._filled(item) for key, item in fields.items()}
        return value

    def _told(self, key: str, value: Json) -> Json:
        match value:
            case dict(fields):
                within = "data." if key == "data" else ""
                told = {name: self._told(within + name, item) for name, item in fields.items()}
                return {name: item for name, item in told.items() if item not in ("", [], {}, None)}
            case list(items):
                told_items = [self._told(key, item) for item in items]
                return sorted(told_items, key=repr) if _has_no_order(key) else told_items
            case str(text):
                return "token" if key == "next_page_token" else self._named(text)
            case int(number) if abs(number - time.time() * 1000) < _HOUR_MS:
                return "now"
        return value

    def _named(self, text: str) -> str:
        for name, value in self.saved.items():
            if len(value) >= _MIN_WORD_CHARACTERS:
                text = text.replace(value, f"{{{name}}}")
            elif text == value and value.isdigit():
                return f"{{{name}}}"
            elif "/" in text and value.isdigit():
                text = "/".join(f"{{{name}}}" if part == value else part for part in text.split("/"))
        return text


def _url(path: object) -> str:
    assert isinstance(path, str)
    return path if path.startswith(("/api/", "/ajax-api/", "/get-artifact")) else f"/api/2.0/mlflow{path}"


def _has_no_order(key: str) -> bool:
    # Stock reads these from SQL without ORDER BY. Metrics of a run have no order, those of a history do.
    return key in ("tags", "dataset_inputs", "dataset_summaries", "model_inputs", "model_outputs") or key in (
        "data.metrics",
        "data.params",
        "data.tags",
    )


def _at(answer: Json, place: str) -> str:
    for part in place.split("."):
        if isinstance(answer, list):
            answer = answer[int(part)]
        else:
            assert isinstance(answer, dict)
            answer = answer[part]
    return str(answer)
