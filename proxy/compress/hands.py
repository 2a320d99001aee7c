"""The threads that prepare texts: split, tokenise, choose, verify. Knows nothing of their work.

Each size of work has a lane of its own, so that a document of megabytes, which takes seconds,
never stands before a page.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

T = TypeVar("T")
Args = TypeVarTuple("Args")

_LANES = ((32_000, 2), (1_000_000, 1), (sys.maxsize, 1))
"""Characters up to which work belongs into a lane, and the lane's threads.

Such work holds the interpreter's lock for much of its time: more threads would wait for one
another.
"""


class Hands:
    """Runs functions in the lane of their size."""

    def __init__(self) -> None:
        self._lanes = [
            (limit, ThreadPoolExecutor(threads, f"prepare-{at}", initializer=stand_back))
            for at, (limit, threads) in enumerate(_LANES)
        ]

    async def run(self, size: int, function: Callable[[*Args], T], *args: *Args) -> T:
        """The function's result; ``size`` in characters. Not begun if the caller has left."""
        lane = next(lane for limit, lane in self._lanes if size <= limit)
        return await asyncio.get_running_loop().run_in_executor(lane, function, *args)

    def close(self) -> None:
        """Stop the threads after what they are on."""
        for _, lane in self._lanes:
            lane.shutdown(cancel_futures=True)


def stand_back() -> None:
    """Give this thread a lower priority than the event loop's, where the system can do that.

    On Linux threads have priorities of their own. It makes nothing slower as long as there is
    time left; where there is none, requests that need no work pass by those that do.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)
