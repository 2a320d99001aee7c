"""What is decided of a request, and the receipt that says why."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy import __version__
from proxy.api.parts import Visit
from proxy.gate import contexts_gone, without_gone
from proxy.ledger import Receipt
from proxy.routing import Route
from proxy.types import Compressed, Decision, Mark, Passage

_MANY = 500
"""Texts up to which writing their records takes less than changing threads is worth."""
_SETTLE_ON_LOOP = 100_000
"""Characters up to which hashing them does so."""


@dataclass(frozen=True)
class Outcome:
    """What is to be sent, and the receipt that says why."""

    texts: Mapping[tuple[int, int | None], str] = field(repr=False)
    """New texts by message and part; empty if the request goes upstream as it came."""
    results: tuple[Compressed, ...]
    receipt: Receipt


async def settle(
    visit: Visit,
    route: Route,
    model: str,
    passages: tuple[Passage, ...],
    compressed: tuple[tuple[Compressed, ...], str],
    encoding_name: str,
) -> Outcome:
    """Decides what is sent and writes the receipt. Shadow mode sends the original."""
    results, _ = compressed
    size = sum(len(passage.text) for passage in passages)
    if len(results) <= _MANY and size <= _SETTLE_ON_LOOP:
        return _settle(visit, route, model, passages, compressed, encoding_name)
    given = (visit, route, model, passages, compressed, encoding_name)
    return await visit.parts.scheduler.in_thread(size, _settle, *given)


def _settle(
    visit: Visit,
    route: Route,
    model: str,
    passages: tuple[Passage, ...],
    compressed: tuple[tuple[Compressed, ...], str],
    encoding_name: str,
) -> Outcome:
    results, failure = compressed
    changed = [i for i, result in enumerate(results) if not result.reason]
    shadow = bool(changed) and route.mode == "shadow"
    sent = [] if shadow else changed
    before = sum(result.tokens_before for result in results)
    after = sum(result.tokens_after for result in results)
    compressor = visit.parts.scheduler.compressor
    receipt = Receipt(
        id=visit.id,
        created=time.time(),
        tenant=visit.tenant_name,
        model=_plain(model),
        policy=route.name,
        decision=_decision(route, failure, changed),
        reason=_reason(route, failure, passages, results),
        stable=not failure,
        tokens_before=before if route.policy else None,
        tokens_after=after if route.policy else None,
        encoding=encoding_name,
        compressor=compressor.name if changed else "",
        messages=tuple(map(_record, passages, results)),
        ms=_spent(visit, results),
        policy_fingerprint=route.fingerprint,
        compressor_fingerprint=compressor.scorer.fingerprint if changed else "",
        version=__version__,
        cache=_cache(results),
        raised=route.raised,
        rate_changed=route.guarded is not None and visit.parts.guard.broke_prefixes(route.guarded),
        endpoint=visit.endpoint,
    )
    visit.tokens = (before if shadow else after) if route.policy else None
    visit.receipt = receipt  # should the request end in an error from here on
    texts = {(passages[i].message, passages[i].part): results[i].text for i in sent}
    return Outcome(texts, results, receipt)


def _decision(route: Route, failure: str, changed: list[int]) -> str:
    if failure:
        return "failed-open"
    if route.policy is None:
        return "bypassed" if route.reason == "bypass" else "unchanged"
    if not changed:
        return "unchanged"
    return "shadow" if route.mode == "shadow" else "compressed"


def _reason(
    route: Route, failure: str, passages: tuple[Passage, ...], results: tuple[Compressed, ...]
) -> str:
    """One short line: the reasons with how many texts have each, the commonest first."""
    if failure or route.policy is None:
        return failure or route.reason
    if not results:
        return "no text"
    counts = Counter(result.reason or "compressed" for result in results)
    if len(results) == 1:
        return next(iter(counts))
    return ", ".join(f"{reason} {count}" for reason, count in counts.most_common())


def _cache(results: tuple[Compressed, ...]) -> str:
    """One state for all texts of which any score was asked for."""
    states = {result.cache for result in results} - {"off"}
    if len(states) > 1:
        return "partial"
    return next(iter(states), "off")


def _record(passage: Passage, result: Compressed) -> Decision:
    return Decision(
        message=passage.message,
        part=passage.part,
        role=_plain(passage.role),
        action="unchanged" if result.reason else "compressed",
        reason=result.reason,
        tokens_before=result.tokens_before,
        tokens_after=result.tokens_after,
        sha256_before=passage.sha256 or _sha256(passage.text),
        sha256_after=_sha256(result.text),
        kept=() if result.reason else result.kept,
        spans=_classes(passage, result),
    )


def _classes(passage: Passage, result: Compressed) -> dict[str, dict[str, int]]:
    """What was protected, by its class: how many spans of each kind, and their length.

    ``context dropped`` counts the documents or paragraphs that went, with all that was in them.
    """
    gone = contexts_gone(passage, result)
    whole = [Mark(context.start, context.end, "context dropped") for context in gone]
    left = without_gone(passage, result)
    classes: dict[str, dict[str, int]] = {}
    for kind, marks in (("intact", left.intact), ("forced", left.forced), ("dropped", whole)):
        for mark in marks:
            found = classes.setdefault(mark.reason, {})
            found[kind] = found.get(kind, 0) + 1
            found["characters"] = found.get("characters", 0) + mark.end - mark.start
    return classes


def _plain(name: str) -> str:
    """A name that a client chose, in characters that JSON and files can hold."""
    return name.encode("utf-8", "replace").decode()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _spent(visit: Visit, results: tuple[Compressed, ...]) -> dict[str, float]:
    stages = next((result.ms for result in results if result.ms), {})
    return {**stages, "compress": sum(stages.values()), "overhead": visit.overhead_ms()}


def undecided(visit: Visit, route: Route, encoding_name: str, failure: str) -> Receipt:
    """The receipt of a request that is refused because it could not be compressed."""
    return Receipt(
        id=visit.id,
        created=time.time(),
        tenant=visit.tenant_name,
        model=_plain(route.model),
        policy=route.name,
        decision="failed",
        reason=failure,
        stable=False,
        tokens_before=None,
        tokens_after=None,
        encoding=encoding_name,
        compressor="",
        policy_fingerprint=route.fingerprint,
        version=__version__,
        endpoint=visit.endpoint,
    )
