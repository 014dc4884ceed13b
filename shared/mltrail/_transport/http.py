"""An mltrail server's API over HTTP, with connections kept alive."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import httpx
import msgpack

from mltrail._settings import without_password
from mltrail._transport.compression import Compression
from mltrail_core.artifacts import Blob, parse_sha256
from mltrail_core.errors import Invalid, OutcomeUnknown, Unavailable
from mltrail_core.log import NewRecord

TIMEOUT = httpx.Timeout(30.0, connect=5.0)
"""A server answers an append in milliseconds; 30 s of silence means that it will not."""
_SLOWEST_STORE_BYTES_PER_S = 20_000_000
"""An artifact is answered once its store has it: S3 copies it to its hash first, which takes minutes for many GB."""
_LONG_PAUSE_S = 15.0
"""Before a try that only succeeds after somebody mended something: an address, a token, a proxy."""
_RECORD_FAULTS = (400, 413, 422)
_BLOB_FAULTS = (400, 422)
"""Not 413: the API takes bytes of any size, so that is a proxy's, and the artifact is kept until somebody mends it."""


class HttpTransport:
    """A `Transport` to the API at `url`."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self._url = without_password(url)
        headers = {"User-Agent": "mltrail"} | token_header(token)
        self._compression = Compression()
        self._client = httpx.Client(base_url=url, timeout=TIMEOUT, headers=headers)

    def append(self, records: Sequence[NewRecord]) -> None:
        body, encoding = self._compression.encoded(msgpack.packb([record.frozen for record in records]))
        began = time.monotonic()
        answer = self._post("/api/v1/records", body, {"Content-Type": "application/msgpack"} | encoding)
        self._compression.note(len(body), time.monotonic() - began)
        appended = answer.get("appended")
        if not isinstance(appended, list) or len(appended) != len(records):
            raise OutcomeUnknown(f"{self._url} did not confirm {len(records)} records; is it an mltrail server?")

    def store(self, file: Path) -> Blob:
        patience_s = 30.0 + file.stat().st_size / _SLOWEST_STORE_BYTES_PER_S
        with file.open("rb") as opened:
            answer = self._post(
                "/api/v1/blobs",
                opened,
                {"Content-Type": "application/octet-stream"},
                httpx.Timeout(30.0, connect=5.0, read=patience_s),
                faults=_BLOB_FAULTS,
            )
        sha256, size_bytes = answer.get("sha256"), answer.get("size_bytes")
        if not isinstance(sha256, str) or not isinstance(size_bytes, int):
            raise OutcomeUnknown(f"{self._url} did not confirm an artifact; is it an mltrail server?")
        return Blob(parse_sha256(sha256), size_bytes)

    def close(self) -> None:
        self._client.close()

    def _post(
        self,
        path: str,
        content: bytes | BinaryIO,
        headers: dict[str, str],
        timeout: httpx.Timeout = TIMEOUT,
        *,
        faults: tuple[int, ...] = _RECORD_FAULTS,
    ) -> dict[str, object]:
        try:
            response = self._client.post(path, content=content, headers=headers, timeout=timeout)
        except httpx.ConnectError as error:
            raise Unavailable(f"{self._url} can't be reached: {error}", retry_after_s=0.1) from error
        except httpx.HTTPError as error:
            raise OutcomeUnknown(f"{self._url} did not answer: {error!r}", retry_after_s=0.1) from error
        status = response.status_code
        if status == 200:
            try:
                answer = response.json()
            except ValueError as error:
                raise OutcomeUnknown(f"{self._url}{path} answered no JSON; is it an mltrail server?") from error
            return answer if isinstance(answer, dict) else {}
        said = f"{self._url}{path} answered {status}: {response.text[:300]}"
        if status in faults:
            raise Invalid(said)
        if status in (429, 503):
            raise Unavailable(said, retry_after_s=_retry_after_s(response))
        # An address without an API, a token that expired, a proxy's error: data is kept until somebody mends it.
        raise Unavailable(said, retry_after_s=1.0 if status >= 500 else _LONG_PAUSE_S)


def token_header(token: str | None) -> dict[str, str]:
    """Return the header that shows an API token, or none."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def _retry_after_s(response: httpx.Response) -> float:
    try:
        return max(0.0, float(response.headers.get("Retry-After", "1")))
    except ValueError:  # HTTP also allows a date
        return 1.0
