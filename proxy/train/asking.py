"""Asks for many things, some at a time, and ends well: shared by ``distill`` and ``evaluate``.

An interrupt (Ctrl-C, SIGTERM) starts nothing more and waits for what is in flight, which is paid
for anyway; a second one waits for nothing. Knows nothing of what is asked.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TypeVar

from proxy.errors import UpstreamError
from proxy.train.distill_llm import Stopped

FAILURES_IN_A_ROW = 20
"""After so many, with no answer between them, something is wrong with all: the run ends."""

Item = TypeVar("Item")


class Streak:
    """Counts failures with no answer between them."""

    def __init__(self, what: str) -> None:
        """``what`` is asked for, in the plural: ``"chunks"``."""
        self._what = what
        self._length = 0

    def broken(self) -> None:
        """There was an answer."""
        self._length = 0

    def failed(self, reason: str) -> None:
        """There was none. Raises UpstreamError when nothing succeeds any more."""
        self._length += 1
        if self._length >= FAILURES_IN_A_ROW:
            raise UpstreamError(f"{self._length} {self._what} failed in a row, at last: {reason}")


async def ask_all(
    items: Iterable[Item],
    ask: Callable[[Item], Awaitable[None]],
    stop: asyncio.Event,
    concurrency: int,
    step: Callable[[], None],
) -> None:
    """Asks for all items, ``concurrency`` at a time; returns early if ``stop`` is set.

    ``step`` is called after each. Raises the first UpstreamError of ``ask``, which would fail
    every item, after those in flight came back.
    """
    queue = iter(items)
    fatal: list[UpstreamError] = []
    with _Interrupts(stop):
        workers = [_worker(queue, ask, stop, fatal, step) for _ in range(concurrency)]
        await asyncio.gather(*workers)
    if fatal:
        raise fatal[0]


async def _worker(
    queue: Iterator[Item],
    ask: Callable[[Item], Awaitable[None]],
    stop: asyncio.Event,
    fatal: list[UpstreamError],
    step: Callable[[], None],
) -> None:
    for item in queue:  # one iterator for all workers: each takes what comes next
        if stop.is_set():
            return
        try:
            await ask(item)
        except Stopped:
            return
        except UpstreamError as exc:
            fatal.append(exc)
            stop.set()
        step()


class _Interrupts:
    """While entered, a first SIGINT or SIGTERM sets the event; a second one acts as ever.

    Signals reach the main thread alone, so elsewhere (and where the loop can't, on Windows) this
    does nothing and an interrupt ends the run at once, which loses nothing that is written.
    """

    def __init__(self, stop: asyncio.Event) -> None:
        self.stop = stop
        self.signals: tuple[signal.Signals, ...] = ()
        if sys.platform != "win32" and threading.current_thread() is threading.main_thread():
            self.signals = (signal.SIGINT, signal.SIGTERM)

    def __enter__(self) -> None:
        for number in self.signals:
            asyncio.get_running_loop().add_signal_handler(number, self._first)

    def __exit__(self, *_: object) -> None:
        for number in self.signals:
            asyncio.get_running_loop().remove_signal_handler(number)

    def _first(self) -> None:
        self.stop.set()
        self.__exit__()
