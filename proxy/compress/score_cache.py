"""Never scores a window twice: the scores of windows by what is in them, one byte a word.

Memory first, then one store that workers share and that survives a restart. A key is a hash of all
that the scores depend on and of whose they are; no text is kept. Whether an entry is there or not
changes how long a request takes and never what comes of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from proxy.compress import levels
from proxy.compress.draft import Draft
from proxy.compress.lru import Memory
from proxy.compress.scorer import Floats, Ints
from proxy.compress.shared import Counts, Shared
from proxy.compress.windows import Window

_KEY = 16
_CHECK = 8
"""Bytes of a key and of the checksum before each stored entry."""


@dataclass(frozen=True)
class Lookup:
    """The windows of one text, their keys, and the packed scores that are known so far."""

    draft: Draft
    keys: tuple[bytes, ...]
    """Empty without a cache."""
    found: list[bytes | None]

    @classmethod
    def nothing(cls, draft: Draft) -> Self:
        """Of a draft whose windows all have to be scored."""
        return cls(draft, (), [None] * len(draft.windows))

    @property
    def missing(self) -> list[int]:
        """Indices of the windows whose scores are not known."""
        return [index for index, packed in enumerate(self.found) if packed is None]

    @property
    def state(self) -> str:
        """``hit``, ``partial`` or ``miss`` as it stands now; ``off`` if nothing is looked up."""
        if not self.keys:
            return "off"
        missing = len(self.missing)
        if missing:
            return "miss" if missing == len(self.keys) else "partial"
        return "hit"

    def scored(self, scores: Sequence[Floats]) -> dict[bytes, bytes]:
        """Fill the gaps from the scores of their tokens; returns what is new, by key."""
        missing = self.missing
        for index, tokens in zip(missing, scores, strict=True):
            self.found[index] = self.draft.levels(self.draft.windows[index], tokens)
        return {self.keys[i]: self._packed(i) for i in missing} if self.keys else {}

    @property
    def packed(self) -> list[bytes]:
        """The packed scores of all windows, once none is missing."""
        return [self._packed(index) for index in range(len(self.found))]

    def _packed(self, index: int) -> bytes:
        packed = self.found[index]
        if packed is None:
            raise ValueError("a window has not been scored yet")
        return packed


@dataclass(frozen=True)
class Gaps:
    """The windows of one request that have to be scored, each once however often it stands there.

    Without keys nobody knows which are the same, and all are scored.
    """

    windows: list[Ints]
    """Token ids of each."""
    places: list[list[int]]
    """For each look-up, in the order of its ``missing``, which of the windows it is."""

    @classmethod
    def of(cls, lookups: Sequence[Lookup]) -> Self:
        """What is missing in them."""
        windows: list[Ints] = []
        seen: dict[bytes, int] = {}
        places: list[list[int]] = []
        for lookup in lookups:
            places.append([])
            for index in lookup.missing:
                place = seen.get(lookup.keys[index]) if lookup.keys else None
                if place is None:
                    place = len(windows)
                    windows.append(lookup.draft.ids(lookup.draft.windows[index]))
                    if lookup.keys:
                        seen[lookup.keys[index]] = place
                places[-1].append(place)
        return cls(windows, places)

    def spread(self, scores: Sequence[Floats]) -> list[list[Floats]]:
        """For each look-up the scores of its missing windows."""
        return [[scores[place] for place in part] for part in self.places]


class ScoreCache:
    """Scores of windows, in memory and in a shared store."""

    def __init__(
        self, fingerprint: str, memory: Memory[bytes], shared: Shared | None, *, isolated: bool
    ) -> None:
        """``fingerprint``: changes whenever scores may; ``isolated``: each tenant sees its own."""
        self._fingerprint = fingerprint
        self._memory = memory
        self._shared = shared
        self._isolated = isolated
        self.counts = shared.counts if shared else Counts()

    @property
    def size(self) -> int:
        """Memory held, about."""
        return self._memory.bytes

    def look_up(self, draft: Draft, tenant: str) -> Lookup:
        """What memory knows of the draft's windows."""
        keys = tuple(_keys(draft, self._salt(tenant)))
        found = [self._memory.get(key) for key in keys]
        self.counts.add("memory", sum(packed is not None for packed in found))
        return Lookup(draft, keys, found)

    async def complete(self, lookups: Sequence[Lookup]) -> None:
        """Fill gaps from the shared store, as long as it answers in time."""
        wanted = [item.keys[i] for item in lookups if item.keys for i in item.missing]
        if self._shared is None or not wanted:
            return
        stored = await self._shared.get(wanted)
        for lookup in lookups:
            self._take(lookup, stored)

    def _take(self, lookup: Lookup, stored: Mapping[bytes, bytes]) -> None:
        fresh = []
        for index in lookup.missing:
            key = lookup.keys[index]
            if (entry := stored.get(key)) is None:
                continue
            packed = _opened(key, entry, lookup.draft, lookup.draft.windows[index])
            if packed is None:
                self.counts.add("damaged")
                continue
            lookup.found[index] = packed
            fresh.append((key, packed, len(key) + len(packed)))
        self._memory.put_all(fresh)
        self.counts.add("store", len(fresh))

    def remember(self, packed: Mapping[bytes, bytes]) -> None:
        """Keep new scores; the store gets them later, in a thread."""
        self.counts.add("scored", len(packed))
        self._memory.put_all((key, p, len(key) + len(p)) for key, p in packed.items())
        if self._shared is not None and packed:
            self._shared.put({key: _check(key, p) + p for key, p in packed.items()})

    def close(self) -> None:
        """Let the store write what it was given, and close it."""
        if self._shared is not None:
            self._shared.close()

    def _salt(self, tenant: str) -> bytes:
        scope = f"tenant {tenant}" if self._isolated else "all"
        return repr((scope, self._fingerprint)).encode("utf-8", "surrogatepass")


def _keys(draft: Draft, salt: bytes) -> list[bytes]:
    """A hash for each window of all that its words' scores depend on."""
    rule = draft.job.rules.token_to_word.encode()
    base = hashlib.blake2b(salt + b"\0" + rule, digest_size=_KEY)
    keys = []
    for window in draft.windows:
        first, past = draft.edges(window)
        ids = draft.ids(window)
        key = base.copy()
        key.update(b"%d %d " % (len(ids), len(first)))
        key.update(ids.tobytes())
        key.update(first.tobytes())
        key.update(past.tobytes())
        keys.append(key.digest())
    return keys


def _check(key: bytes, packed: bytes) -> bytes:
    return hashlib.blake2b(packed, digest_size=_CHECK, key=key).digest()


def _opened(key: bytes, entry: bytes, draft: Draft, window: Window) -> bytes | None:
    """The packed scores of a stored entry; None if it is damaged."""
    packed = entry[_CHECK:]
    words = len(draft.edges(window)[0])
    whole = len(packed) == levels.size(words) and entry[:_CHECK] == _check(key, packed)
    return packed if whole else None
