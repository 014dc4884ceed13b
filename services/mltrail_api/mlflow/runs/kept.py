"""Texts kept in memory for as long as what they were made from stands: those asked for last, up to some bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class KeptTexts(Generic[K]):
    """Texts by key, each with a stamp that says what it was made from. Safe to use from many threads."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[K, tuple[object, bytes]] = OrderedDict()
        self._size_bytes = 0
        self._lock = threading.Lock()

    def get(self, stamps: Mapping[K, object]) -> dict[K, bytes]:
        """Return the texts of those keys that are kept with just that stamp."""
        texts: dict[K, bytes] = {}
        with self._lock:
            for key, stamp in stamps.items():
                kept = self._kept.get(key)
                if kept is not None and kept[0] == stamp:
                    self._kept.move_to_end(key)
                    texts[key] = kept[1]
        return texts

    def keep(self, stamps: Mapping[K, object], texts: Mapping[K, bytes]) -> None:
        """Keep texts with their stamps in the place of earlier ones, and let go of those not asked for longest."""
        with self._lock:
            for key, text in texts.items():
                _, previous = self._kept.pop(key, (None, b""))
                self._size_bytes -= len(previous)
                if len(text) <= self._max_bytes:  # another would push out all the rest, and then itself
                    self._kept[key] = stamps[key], text
                    self._size_bytes += len(text)
            while self._size_bytes > self._max_bytes:
                _, (_, oldest) = self._kept.popitem(last=False)
                self._size_bytes -= len(oldest)
