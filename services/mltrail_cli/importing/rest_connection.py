"""Requests to a server of MLflow's protocol: repeated while it is busy, answered in JSON or in bytes, page by page."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx

from mltrail_cli.importing.source import FilesUnreachable
from mltrail_core.errors import Invalid, MltrailError, Unavailable

Json = dict[str, object]
_TIMEOUT_S = 60.0
_ATTEMPTS = 5
_CHUNK_BYTES = 1 << 20


class RestConnection:
    """A connection pool to one server; every call waits at most `_TIMEOUT_S` for each answer."""

    def __init__(self, url: str, token: str | None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT_S, follow_redirects=True)

    def get(self, path: str, query: dict[str, str]) -> Json:
        """Return the JSON object that a GET answers."""
        return self._answer(self._sent("GET", path, query, None))

    def pages(self, path: str, body: Json, name: str, *, is_optional: bool = False) -> Iterator[Json]:
        """Yield the objects under `name` in each page that a POST answers; none from a server that lacks the path, if
        it is optional."""
        token = ""
        while True:
            response = self._sent("POST", path, {}, body | ({"page_token": token} if token else {}))
            if is_optional and response.status_code in (404, 405):
                return
            answer = self._answer(response)
            yield from self.objects(answer, name)
            token = str(answer.get("next_page_token") or "")
            if not token:
                return

    def listed(
        self, path: str, query: dict[str, str], name: str, *, failure: type[MltrailError] | None = None
    ) -> Iterator[Json]:
        """Yield the objects under `name` in each page that a GET answers; a refusal is raised as `failure`."""
        token = ""
        while True:
            response = self._sent("GET", path, query | ({"page_token": token} if token else {}), None)
            if failure is not None and response.is_error:
                raise failure(_refusal(response))
            answer = self._answer(response)
            yield from self.objects(answer, name)
            token = str(answer.get("next_page_token") or "")
            if not token:
                return

    def bytes_of(self, path: str, query: dict[str, str]) -> Iterator[bytes]:
        """Stream what a GET answers.

        Raises:
            FilesUnreachable: the server refuses it.
            Unavailable: the server failed, or broke off.
        """
        try:
            with self._client.stream("GET", path, params=query) as response:
                if response.is_error:
                    response.read()
                    failure = FilesUnreachable if response.status_code < 500 else Unavailable
                    raise failure(_refusal(response))
                yield from response.iter_bytes(_CHUNK_BYTES)
        except httpx.HTTPError as error:
            raise Unavailable(f"{self._client.base_url}{path} broke off: {error}; import again to go on") from error

    def object(self, answer: Json, name: str) -> Json:
        """Return the object under `name`; empty when it is absent, as protobuf-JSON leaves it out."""
        found = answer.get(name, {})
        if not isinstance(found, dict):
            raise Invalid(f"{self._client.base_url}: {name!r} should be a JSON object, found {type(found).__name__}")
        return found

    def objects(self, answer: Json, name: str) -> list[Json]:
        """Return the list of objects under `name`; empty when it is absent."""
        found = answer.get(name, [])
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise Invalid(f"{self._client.base_url}: {name!r} should be a list of JSON objects")
        return found

    def close(self) -> None:
        """Release the connections."""
        self._client.close()

    def _sent(self, method: str, path: str, query: dict[str, str], body: Json | None) -> httpx.Response:
        for attempt in range(_ATTEMPTS):
            try:
                response = self._client.request(method, path, params=query, json=body)
                if response.status_code not in (408, 429, 502, 503, 504) or attempt == _ATTEMPTS - 1:
                    return response
            except httpx.HTTPError as error:
                if attempt == _ATTEMPTS - 1 or isinstance(error, httpx.UnsupportedProtocol):
                    raise Unavailable(f"{self._client.base_url} can't be reached: {error}") from error
            time.sleep(0.5 * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    def _answer(self, response: httpx.Response) -> Json:
        if response.is_error:
            raise Unavailable(_refusal(response))
        try:
            answer = response.json()
        except ValueError as error:
            raise Unavailable(f"{response.url} answered no JSON; expected a server of MLflow's protocol") from error
        if not isinstance(answer, dict):
            raise Unavailable(f"{response.url} answered no JSON object; expected a server of MLflow's protocol")
        return answer


def _refusal(response: httpx.Response) -> str:
    return f"{response.url} answered {response.status_code}: {response.text[:300]}"
