"""Which of the entries of one public name gets the next call. Knows nothing of what a call is.

Smooth weighted round-robin, as nginx does it: over any ``sum(weights)`` calls each entry gets its
weight's share, and a heavy entry's turns are spread instead of bunched. No dice, so tests and
operators can tell what comes next.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.config import ModelEntry


class Share:
    """Turns and rests of the entries of one name. Times are seconds of any steady clock."""

    def __init__(self, entries: Sequence[ModelEntry]) -> None:
        self.entries = tuple(entries)
        self._weights = [entry.litellm_params.weight for entry in entries]
        self._credit = [0.0] * len(self.entries)
        self._rests_until = [0.0] * len(self.entries)

    def pick(self, now: float) -> int:
        """Index of the entry whose turn it is; if all rest, the one that ends its rest first."""
        awake = [i for i, until in enumerate(self._rests_until) if until <= now]
        if not awake:
            return min(range(len(self.entries)), key=self._rests_until.__getitem__)
        for i in awake:
            self._credit[i] += self._weights[i]
        best = max(awake, key=self._credit.__getitem__)
        self._credit[best] -= sum(self._weights[i] for i in awake)
        return best

    def rest(self, index: int, until: float) -> None:
        """Pass this entry over until then, as long as another one is awake."""
        self._rests_until[index] = max(until, self._rests_until[index])

    def recover(self, index: int) -> None:
        """An answer came: no reason to pass the entry over any more."""
        self._rests_until[index] = 0.0

    def any_awake(self, now: float) -> bool:
        """Whether some entry could take a call at once."""
        return any(until <= now for until in self._rests_until)
