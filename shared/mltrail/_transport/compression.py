"""Whether a request's body is worth compressing: only on a link that is slower than zlib."""

from __future__ import annotations

import zlib

MIN_BODY_BYTES = 4096
"""Smaller bodies fit a few packets either way."""
_SLOW_BYTES_PER_S = 8 << 20
"""zlib's quickest level gains on links slower than this: it does 60 MB/s, and halves columns of metrics."""
_WEIGHT = 0.3
_GZIP = 16 + zlib.MAX_WBITS


class Compression:
    """Measures what goes over a link and compresses accordingly; used by one thread."""

    def __init__(self) -> None:
        self._bytes_per_s: float | None = None

    @property
    def pays(self) -> bool:
        """Whether the link was slow of late; False before anything was sent."""
        return self._bytes_per_s is not None and self._bytes_per_s < _SLOW_BYTES_PER_S

    def encoded(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        """Return what to send, and the headers that say how it is encoded."""
        if len(body) < MIN_BODY_BYTES or not self.pays:
            return body, {}
        compress = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
        encoded = compress.compress(body) + compress.flush()
        return (encoded, {"Content-Encoding": "gzip"}) if len(encoded) < len(body) else (body, {})

    def note(self, size_bytes: int, duration_s: float) -> None:
        """Take into account that so much was sent and answered in so long."""
        if size_bytes < MIN_BODY_BYTES:
            return
        measured = size_bytes / max(duration_s, 1e-6)
        known = self._bytes_per_s
        self._bytes_per_s = measured if known is None else (1 - _WEIGHT) * known + _WEIGHT * measured
