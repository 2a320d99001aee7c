"""Which of the entries of one public name gets the next call. Knows nothing of what a call is.

Calls of one conversation go to one entry, where the provider's prompt cache has its beginning:
weighted rendezvous hashing gives each entry its weight's share of the conversations, and an entry
that rests moves its own conversations only. Calls without one take turns, by smooth weighted
round-robin as nginx does it. No dice, so tests and operators can tell what comes next.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence

from proxy.config_upstreams import ModelEntry


class Share:
    """Turns and rests of the entries of one name. Times are seconds of any steady clock."""

    def __init__(self, entries: Sequence[ModelEntry]) -> None:
        self.entries = tuple(entries)
        self._weights = [entry.litellm_params.weight for entry in entries]
        self._credit = [0.0] * len(self.entries)
        self._rests_until = [0.0] * len(self.entries)
        self._names = _names(entries)

    def pick(self, now: float, conversation: str = "") -> int:
        """Index of the conversation's entry, or of the one whose turn it is.

        Entries that rest are passed over; if all do, the one that ends its rest first.
        """
        awake = [i for i, until in enumerate(self._rests_until) if until <= now]
        if not awake:
            return min(range(len(self.entries)), key=self._rests_until.__getitem__)
        if len(awake) == 1:
            return awake[0]
        if conversation:
            return max(awake, key=lambda i: self._pull(i, conversation))
        for i in awake:
            self._credit[i] += self._weights[i]
        best = max(awake, key=self._credit.__getitem__)
        self._credit[best] -= sum(self._weights[i] for i in awake)
        return best

    def _pull(self, index: int, conversation: str) -> float:
        """How strongly an entry draws a conversation: the same on every worker, at any time."""
        name = f"{self._names[index]}\n{conversation}".encode("utf-8", "surrogatepass")
        number = int.from_bytes(hashlib.blake2b(name, digest_size=6).digest())
        return -self._weights[index] / math.log((number + 1) / ((1 << 48) + 2))

    def rest(self, index: int, until: float) -> None:
        """Pass this entry over until then, as long as another one is awake."""
        self._rests_until[index] = max(until, self._rests_until[index])

    def recover(self, index: int) -> None:
        """An answer came: no reason to pass the entry over any more."""
        self._rests_until[index] = 0.0

    def any_awake(self, now: float) -> bool:
        """Whether some entry could take a call at once."""
        return any(until <= now for until in self._rests_until)


def _names(entries: Sequence[ModelEntry]) -> list[str]:
    """A name for each entry that does not hang on its place in the file, where that can be."""
    seen: Counter[str] = Counter()
    names = []
    for entry in entries:
        name = f"{entry.litellm_params.model}\n{entry.litellm_params.api_base}"
        names.append(f"{name}\n{seen[name]}")
        seen[name] += 1
    return names
