"""A store that workers share, kept at arm's length: it may be down or slow, and nobody waits.

Look-ups run in threads and end in time; what is new is written later. A store that fails rests for
a while, is told of once, and is counted.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import structlog

log = structlog.get_logger("precis")

_REST = 5.0
"""Seconds that a store is left alone after it failed."""
_WAITING = 1_000
"""Writes that may wait; further ones are dropped, and scored again some day."""
_TOGETHER = 64
"""Writes that are put into one transaction, at most."""
_FAREWELL = 5.0
"""Seconds that closing waits for the last writes."""


class StoreError(Exception):
    """The store did not do what it was asked; the message says why, without any secret."""


class Store(Protocol):
    """Entries by key, bounded; used from several threads at once. Methods raise StoreError."""

    name: str

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Those of the entries that are there, in one round trip if possible."""
        ...

    def put(self, entries: Mapping[bytes, bytes]) -> None:
        """Write all, and let old ones go where there are too many."""
        ...

    def close(self) -> None:
        """Give back what is held."""
        ...


class Counts:
    """How many windows were found where, and what went wrong. Safe to share between threads."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, name: str, number: int = 1) -> None:
        with self._lock:
            self._counts[name] += number

    def __getitem__(self, name: str) -> int:
        return self._counts[name]


class Shared:
    """One store, read in threads within ``timeout`` seconds and written in the background."""

    def __init__(self, store: Store, timeout: float, counts: Counts | None = None) -> None:
        self.counts = counts or Counts()
        self._store = store
        self._timeout = timeout
        self._rest_until = 0.0
        self._down = False
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="cache-read")
        self._writes: queue.Queue[Mapping[bytes, bytes] | None] = queue.Queue(_WAITING)
        self._writer = threading.Thread(target=self._write_all, name="cache-write", daemon=True)
        self._writer.start()

    async def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """What the store has of the keys; nothing if it fails, is slow, or rests."""
        if time.monotonic() < self._rest_until:
            return {}
        reading = asyncio.get_running_loop().run_in_executor(self._readers, self._store.get, keys)
        try:
            found = await asyncio.wait_for(reading, self._timeout)
        except TimeoutError:
            self._failed(f"no answer within {1000 * self._timeout:.0f} ms")
        except StoreError as exc:
            self._failed(str(exc))
        else:
            self._worked()
            return found
        return {}

    def put(self, entries: Mapping[bytes, bytes]) -> None:
        """Have the entries written; returns at once."""
        try:
            self._writes.put_nowait(entries)
        except queue.Full:
            self.counts.add("dropped", len(entries))

    def flush(self) -> None:
        """Wait until all that was put is written or dropped."""
        self._writes.join()

    def close(self) -> None:
        """Write what waits, for a few seconds at most, and close the store."""
        try:
            self._writes.put(None, timeout=_FAREWELL)
        except queue.Full:
            log.warning("scores not saved", waiting=self._writes.qsize())
        self._writer.join(_FAREWELL)
        self._readers.shutdown(wait=False, cancel_futures=True)
        if not self._writer.is_alive():
            self._store.close()

    def _write_all(self) -> None:
        ended = False
        while not ended:
            batches = [self._writes.get()]
            while len(batches) < _TOGETHER and not self._writes.empty():
                batches.append(self._writes.get_nowait())
            ended = None in batches
            self._write({key: e for b in batches if b is not None for key, e in b.items()})
            for _ in batches:
                self._writes.task_done()

    def _write(self, entries: Mapping[bytes, bytes]) -> None:
        if not entries:
            return
        if time.monotonic() < self._rest_until:
            self.counts.add("dropped", len(entries))
            return
        try:
            self._store.put(entries)
        except StoreError as exc:
            self.counts.add("dropped", len(entries))
            self._failed(str(exc))
        else:
            self._worked()

    def _failed(self, why: str) -> None:
        self.counts.add("failed")
        self._rest_until = time.monotonic() + _REST
        if not self._down:
            self._down = True
            log.warning("score store does not answer; scoring without it", error=why)

    def _worked(self) -> None:
        if self._down:
            self._down = False
            log.info("score store is back", store=self._store.name)
