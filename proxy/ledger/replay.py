"""Check a receipt against the original texts: does its mask give the bytes that it says? Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from proxy.ledger.receipts import Receipt
from proxy.types import Decision, Span

Key = tuple[int, int | None]
"""Index of a message, and of its part or None."""


@dataclass(frozen=True, slots=True)
class Check:
    """How one text fared."""

    key: Key
    role: str
    said: str
    """What the receipt says: ``compressed``, or the reason why not."""
    finding: str
    """Empty if all is as the receipt says; else what is not."""
    sent: str | None = field(default=None, repr=False)
    """The text as the mask makes it; None where the original is not there."""


def by_mask(receipt: Receipt, texts: Mapping[Key, str]) -> Iterator[Check]:
    """One check for each text of the receipt, then one for each text that it does not know."""
    for done in receipt.messages:
        text = texts.get((done.message, done.part))
        finding, sent = _finding(done, text)
        yield Check((done.message, done.part), done.role, _said(done), finding, sent)
    known = {(done.message, done.part) for done in receipt.messages}
    if receipt.messages:
        yield from (Check(key, "", "", "not in the receipt") for key in texts if key not in known)


def by_recomputation(receipt: Receipt, again: Receipt) -> Mapping[Key, str]:
    """What differs between a receipt and another one of the same texts; empty if nothing."""
    new = {(done.message, done.part): done for done in again.messages}
    findings: dict[Key, str] = {}
    for done in receipt.messages:
        key = (done.message, done.part)
        other = new.get(key)
        if other is None:
            findings[key] = "not found again"
        elif done.sha256_before == other.sha256_before and done.sha256_after != other.sha256_after:
            findings[key] = _where(done, other)
    return findings


def hash_of(text: str) -> str:
    """SHA-256 of a text in UTF-8, lone surrogates as they are; 64 hex digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _said(done: Decision) -> str:
    return done.reason or done.action


def _finding(done: Decision, text: str | None) -> tuple[str, str | None]:
    if text is None:
        return "not in the file", None
    if hash_of(text) != done.sha256_before:
        return "another original", None
    whole = done.action != "compressed"
    sent = text if whole else "".join(text[start:end] for start, end in done.kept)
    return ("" if hash_of(sent) == done.sha256_after else "the mask gives other bytes"), sent


def _where(done: Decision, other: Decision) -> str:
    if done.action != other.action:
        return f"now {_said(other)}"
    return f"differs from character {_first_difference(done.kept, other.kept):,} on"


def _first_difference(one: Sequence[Span], other: Sequence[Span]) -> int:
    """The first character of the original that one mask has and the other has not."""
    edges, others = _edges(one), _edges(other)
    for edge, against in zip(edges, others, strict=False):
        if edge != against:
            return min(edge, against)
    longer = max(edges, others, key=len)
    shorter = min(len(edges), len(others))
    return longer[shorter] if len(longer) > shorter else 0


def _edges(kept: Sequence[Span]) -> list[int]:
    """Where keeping begins and ends, neighbours that touch made one."""
    edges: list[int] = []
    for start, end in kept:
        if edges and edges[-1] == start:
            edges[-1] = end
        else:
            edges += (start, end)
    return edges
