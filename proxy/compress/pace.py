"""How fast work has been done of late, to know what a deadline allows before it is begun."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_FADES = 0.98
"""What is left of the weight of older work with each new piece: some fifty pieces count."""
_STALE = 5.0
"""Seconds after which the latest speed may be that of a busy moment that is over."""
_SURE = 0.05
"""Seconds of work that make a speed worth remembering as the best."""


class Pace:
    """Amounts done per second by one thread. Safe to share between threads.

    Nothing is refused for what was measured long ago: without fresh measurements the best speed
    ever seen counts, so that a busy moment never shuts the door for good.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._amount = self._seconds = 0.0
        self._best = 0.0
        self._at = 0.0

    def note(self, amount: float, seconds: float) -> None:
        """So much was done in so many seconds."""
        with self._lock:
            self._amount = self._amount * _FADES + amount
            self._seconds = self._seconds * _FADES + seconds
            self._at = self._clock()
            if self._seconds >= _SURE:
                self._best = max(self._best, self._amount / self._seconds)

    def seconds_for(self, amount: float) -> float:
        """Seconds that so much will take; 0 as long as too little is known."""
        with self._lock:
            if not self._best:
                return 0.0
            fresh = self._clock() - self._at < _STALE
            return amount / (self._amount / self._seconds if fresh else self._best)
