"""The arithmetic of a limit per minute. Pure: holds no state and reads no clock.

The generic cell rate algorithm (ITU-T I.371): all that has to be remembered is when the bucket
would be full again. A full bucket may be emptied at once; it refills evenly within a minute.
"""

from __future__ import annotations

from dataclasses import dataclass

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Bucket:
    """``limit`` things per minute. Times are seconds of any one clock."""

    limit: int

    def left(self, full_at: float, now: float) -> int:
        """Things that may be taken right now."""
        missing = max(0.0, full_at - now) / MINUTE
        return max(0, int(self.limit * (1 - missing) + 1e-6))

    def take(self, full_at: float, now: float, amount: float) -> float:
        """When it would be full again after ``amount`` (negative to give back) was taken.

        It can go into debt; whoever minds asks ``wait`` before.
        """
        return max(full_at, now) + amount * MINUTE / self.limit

    def wait(self, full_at: float, now: float, amount: float) -> float:
        """Seconds until ``amount``, at most the limit, may be taken; 0 if it may be now."""
        wait = self.take(full_at, now, amount) - now - MINUTE
        return wait if wait > 1e-6 else 0.0
