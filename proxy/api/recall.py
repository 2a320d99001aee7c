"""What came of texts that were met before, so that an identical message costs next to nothing.

Holds hashes, marks and masks by a hash of all that they depend on, and no text; in memory alone,
since they change with the rules of this very version. A result is remembered once the gate has
passed it, with its verdict.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from proxy.compress.lru import Memory
from proxy.compress.score_cache import ScoreCache
from proxy.compress.shared import Counts
from proxy.config_policy import Policy
from proxy.ledger import CacheState
from proxy.messages.segment import passage
from proxy.routing.route import fingerprint_of
from proxy.spans import Spans
from proxy.types import Compressed, Passage

_KEY = 16
_POLICIES = 256
_MARK = 130
"""Bytes of a mark, about."""


@dataclass(frozen=True, slots=True)
class Result:
    """A ``Compressed`` without its text."""

    mask: bytes
    """Starts and ends of the kept spans, four bytes each."""
    tokens_before: int
    tokens_after: int
    reason: str
    model: str
    scored: bool


class NotMet(Exception):
    """A text is new."""


class Recall:
    """Passages and results by what they depend on. Safe to share between threads."""

    def __init__(self, max_bytes: int, *, isolated: bool) -> None:
        """``isolated``: each tenant meets its own texts alone; 0 bytes remember nothing."""
        self._passages: Memory[Passage] = Memory(max_bytes // 2)
        self._results: Memory[Result] = Memory(max_bytes - max_bytes // 2)
        self._on = max_bytes > 0
        self._isolated = isolated
        self._prints: dict[int, tuple[Policy, str]] = {}
        self.counts = Counts()

    @property
    def size(self) -> int:
        """Bytes held, about."""
        return self._passages.bytes + self._results.bytes

    def passage(
        self,
        tenant: str,
        text: str,
        role: str,
        policy: Policy,
        *,
        message: int = 0,
        part: int | None = None,
    ) -> Passage:
        """``messages.segment.passage``, remembered."""
        if not self._on:
            return passage(text, role, policy, message=message, part=part)
        key, sha256 = self._passage_key(tenant, text, role, policy)
        found = self._passages.get(key)
        if found is not None:
            return replace(found, text=text, message=message, part=part)
        fresh = passage(text, role, policy, message=message, part=part)
        fresh = replace(fresh, key=key, sha256=sha256)
        marks = len(fresh.intact) + len(fresh.forced) + len(fresh.dropped) + len(fresh.regions)
        marks += len(fresh.escapes) + len(fresh.contexts)
        self._passages.put(key, replace(fresh, text=""), _MARK * (3 + marks))
        return fresh

    def met(
        self,
        tenant: str,
        text: str,
        role: str,
        policy: Policy,
        *,
        message: int = 0,
        part: int | None = None,
    ) -> Passage:
        """``passage`` for a text that was met before. Raises NotMet for any other, unread."""
        key = self._passage_key(tenant, text, role, policy)[0] if self._on else b""
        found = self._passages.get(key)
        if found is None:
            raise NotMet
        return replace(found, text=text, message=message, part=part)

    def result(self, passage: Passage, policy: Policy, encoding: str) -> Compressed | None:
        """What came of the passage, if it is known, its text put together again.

        ``policy`` may be another one than the passage was made under.
        """
        if not passage.key:
            return None
        found = self._results.get(self._result_key(passage, policy, encoding))
        self.counts.add("found" if found else "new")
        if found is None:
            return None
        kept = Spans.unpack(found.mask)
        return Compressed(
            text=kept.cut(passage.text),
            kept=kept,
            tokens_before=found.tokens_before,
            tokens_after=found.tokens_after,
            reason=found.reason,
            model=found.model,
            cache="hit" if found.scored else "off",
        )

    def remember(
        self, passage: Passage, policy: Policy, encoding: str, verified: Compressed
    ) -> None:
        """Keep what the gate let through, or put in its place."""
        if not passage.key:
            return
        result = Result(
            Spans.of(verified.kept).pack(),
            verified.tokens_before,
            verified.tokens_after,
            verified.reason,
            verified.model,
            verified.cache != "off",
        )
        size = 300 + len(result.mask)
        self._results.put(self._result_key(passage, policy, encoding), result, size)

    def _passage_key(self, tenant: str, text: str, role: str, policy: Policy) -> tuple[bytes, str]:
        """The key, and the text's own hash."""
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
        whose = tenant if self._isolated else ""
        told = repr((whose, self._print_of(policy), role)).encode("utf-8", "surrogatepass")
        key = hashlib.blake2b(told + digest.digest(), digest_size=_KEY).digest()
        return key, digest.hexdigest()

    def _result_key(self, passage: Passage, policy: Policy, encoding: str) -> bytes:
        told = repr((self._print_of(policy), encoding, passage.regions)).encode()
        return hashlib.blake2b(passage.key + told, digest_size=_KEY).digest()

    def _print_of(self, policy: Policy) -> str:
        # Not the route's: what is compressed once more to fit has another policy than its route.
        known = self._prints.get(id(policy))
        if known is None:
            if len(self._prints) >= _POLICIES:
                self._prints.clear()
            # The policy is held too, so that no other gets its id.
            known = self._prints.setdefault(id(policy), (policy, fingerprint_of(policy)))
        return known[1]


def state_of(recall: Recall, scores: ScoreCache | None) -> CacheState:
    """What the caches of this worker have done so far."""
    windows = scores.counts if scores else Counts()
    return CacheState(
        messages={"memory": recall.counts["found"], "nowhere": recall.counts["new"]},
        windows={
            "memory": windows["memory"],
            "store": windows["store"],
            "nowhere": windows["scored"],
        },
        troubles={name: windows[name] for name in ("failed", "damaged", "dropped")},
        memory_bytes=recall.size + (scores.size if scores else 0),
    )
