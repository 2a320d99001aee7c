"""Memory for bytes by their keys, bounded in bytes: what was used longest ago goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Generic, TypeVar

V = TypeVar("V")

_OVERHEAD = 200
"""Bytes that Python's objects around a key and a value take, about."""


class Memory(Generic[V]):
    """Values by key. Safe to share between threads; all have one bound together."""

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._held: OrderedDict[bytes, tuple[V, int]] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes = 0
        """Bytes held, about."""

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: bytes) -> V | None:
        """The value, now the one used last; None if it is not there or has gone."""
        with self._lock:
            found = self._held.get(key)
            if found is None:
                return None
            self._held.move_to_end(key)
            return found[0]

    def put(self, key: bytes, value: V, size: int) -> None:
        """Hold a value of about ``size`` bytes, and let others go until all fit."""
        self.put_all([(key, value, size)])

    def put_all(self, entries: Iterable[tuple[bytes, V, int]]) -> None:
        """The same for many."""
        with self._lock:
            for key, value, size in entries:
                if key in self._held:
                    self.bytes -= self._held.pop(key)[1]
                self._held[key] = (value, size + _OVERHEAD)
                self.bytes += size + _OVERHEAD
            while self.bytes > self._max and self._held:
                self.bytes -= self._held.popitem(last=False)[1][1]
