"""The steps between routing and sending that chat, compress and the other surfaces share."""

from __future__ import annotations

import asyncio
import hashlib
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar, TypeVarTuple

import structlog

from proxy import __version__
from proxy.api.parts import Visit, read_body
from proxy.api.recall import Recall, state_of
from proxy.compress.draft import Job, as_it_came
from proxy.compress.scheduler import Order
from proxy.config_policy import Policy
from proxy.config_upstreams import ModelEntry
from proxy.errors import CompressionError, DeadlineExceeded, LimitError
from proxy.gate import verify_request
from proxy.ledger import Receipt, Usage
from proxy.messages.body import Chat
from proxy.messages.opening import opening
from proxy.messages.segment import segment
from proxy.prices import price_of
from proxy.routing import Asked, Route
from proxy.tokens import encoding
from proxy.types import Compressed, Decision, Passage

log = structlog.get_logger("precis")

T = TypeVar("T")
Args = TypeVarTuple("Args")

_READ_ON_LOOP = 8_000
"""Bytes of a body up to which finding its passages takes less time than changing threads."""


_MANY = 500
"""Objects in a body up to which reading it takes less than changing threads is worth."""
_SETTLE_ON_LOOP = 50_000
"""Characters up to which hashing them does so."""


@dataclass(frozen=True)
class Outcome:
    """What is to be sent, and the receipt that says why."""

    texts: Mapping[tuple[int, int | None], str] = field(repr=False)
    """New texts by message and part; empty if the request goes upstream as it came."""
    results: tuple[Compressed, ...]
    receipt: Receipt


async def read_chat(visit: Visit, parse: Callable[[bytes], Chat]) -> Chat:
    """The body as ``parse`` reads it; one of very many messages is read in a thread."""
    body = await read_body(visit)
    if body.count(b"{") <= _MANY:
        return parse(body)
    return await visit.parts.scheduler.in_thread(len(body), parse, body)


async def route_of(visit: Visit, chat: Chat) -> Route:
    """The policy for the chat, and whether its conversation is one of those to be compressed."""
    asked = Asked.from_headers(visit.request.headers)
    route = visit.parts.router.route(chat.model, visit.tenant, asked)
    if route.share == 1:
        return route
    if len(chat.body) <= _READ_ON_LOOP:
        return route.at(opening(chat))
    return route.at(await visit.parts.scheduler.in_thread(len(chat.body), opening, chat))


async def passages_of(visit: Visit, chat: Chat, route: Route) -> tuple[Passage, ...]:
    """What may be touched of the chat; nothing without a policy. Long ones are read in a thread."""
    if route.policy is None:
        return ()
    cut = partial(visit.parts.recall.passage, visit.tenant_name)
    return await _where_it_fits(visit, len(chat.body), segment, chat, route.policy, cut)


async def compress(
    visit: Visit, route: Route, chat: Chat, passages: tuple[Passage, ...], encoding_name: str
) -> tuple[tuple[Compressed, ...], str]:
    """One verified result a passage, and why the request failed open, if it did.

    With ``on_error: pass`` a deadline, a full queue or a failed classifier leaves every text as
    it came but for obeyed tags; with ``fail`` the error is raised, but not in shadow mode, which
    changes nothing.
    """
    policy = route.policy
    if policy is None:
        return (), ""
    size = sum(len(passage.text) for passage in passages)
    started = time.perf_counter()
    how = (visit.parts.recall, policy, encoding_name)
    known = await _where_it_fits(visit, size, _known, how, passages)
    left = tuple(p for p, result in zip(passages, known, strict=True) if result is None)
    recalled = 1000 * (time.perf_counter() - started)
    try:
        order = _order(visit, policy, encoding_name)
        results = await visit.parts.scheduler.compress(left, order)
    except (CompressionError, LimitError) as exc:
        failure = _failure(exc)
        if policy.on_error == "fail" and route.mode != "shadow":
            visit.receipt = _undecided(visit, route, encoding_name, failure)
            raise
        log.warning("failed open", id=visit.id, reason=failure, error=_cause(exc))
        given = (chat, passages, policy, encoding_name, failure)
        return await asyncio.to_thread(_as_they_came, *given), failure
    ms = {} if left else {"recall": recalled}
    rest = iter(results)
    all_results = tuple(next(rest) if r is None else replace(r, ms=ms) for r in known)
    fresh = frozenset(i for i, result in enumerate(known) if result is None)
    size = len(chat.body)
    return await _where_it_fits(visit, size, _verified, how, chat, passages, all_results, fresh), ""


How = tuple[Recall, Policy, str]
"""Where to look, under which policy, counted in which encoding."""


def _known(how: How, passages: tuple[Passage, ...]) -> tuple[Compressed | None, ...]:
    recall, policy, encoding_name = how
    return tuple(recall.result(passage, policy, encoding_name) for passage in passages)


def _verified(
    how: How,
    chat: Chat,
    passages: tuple[Passage, ...],
    results: tuple[Compressed, ...],
    fresh: frozenset[int],
) -> tuple[Compressed, ...]:
    """All results verified, those that are not ``fresh`` by the verdict that is remembered."""
    recall, policy, encoding_name = how
    verified = verify_request(chat, passages, results, policy, encoding(encoding_name), fresh)
    for index in fresh:
        if verified[index].reason != "gate: request":  # which depends on the others
            recall.remember(passages[index], policy, encoding_name, verified[index])
    return verified


async def _where_it_fits(visit: Visit, size: int, work: Callable[[*Args], T], *args: *Args) -> T:
    """What the work gives; it is done right here if it is small, else in a thread."""
    if size <= _READ_ON_LOOP:
        return work(*args)
    return await visit.parts.scheduler.in_thread(size, work, *args)


def _as_they_came(
    chat: Chat, passages: tuple[Passage, ...], policy: Policy, encoding_name: str, reason: str
) -> tuple[Compressed, ...]:
    """Every text as it came, but for tags that were obeyed: those are not for the upstream."""
    counted_by = encoding(encoding_name)
    jobs = [Job(passage.text, dropped=passage.dropped) for passage in passages]
    results = [as_it_came(job, counted_by, reason) for job in jobs]
    return verify_request(chat, passages, results, policy, counted_by)


def _cause(exc: Exception) -> str:
    """The kind of the first error and where it arose; its message may quote the prompt."""
    first = exc.__cause__ or exc
    place = traceback.extract_tb(first.__traceback__)[-1]
    return f"{type(first).__name__} at {place.filename}:{place.lineno}"


def _undecided(visit: Visit, route: Route, encoding_name: str, failure: str) -> Receipt:
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
    )


def _failure(exc: CompressionError | LimitError) -> str:
    if isinstance(exc, DeadlineExceeded):
        return "deadline"
    return "queue full" if isinstance(exc, LimitError) else "error"


def _order(visit: Visit, policy: Policy, encoding_name: str) -> Order:
    rate = policy.rate
    steps = tuple((s.over, s.rate) for s in rate) if isinstance(rate, tuple) else rate
    return Order(
        rules=policy.rules,
        rate=steps,
        encoding=encoding_name,
        target_tokens=policy.target_tokens,
        min_tokens=policy.min_tokens,
        pays_over=policy.worth_from,
        deadline_ms=policy.deadline_ms,
        tenant=visit.tenant_name,
    )


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
        spans=_classes(passage),
    )


def _classes(passage: Passage) -> dict[str, dict[str, int]]:
    """What was protected, by its class: how many spans of each kind, and their length."""
    classes: dict[str, dict[str, int]] = {}
    for kind, marks in (("intact", passage.intact), ("forced", passage.forced)):
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


def close(
    visit: Visit, receipt: Receipt, status: int, entry: ModelEntry | None = None
) -> Callable[[bool, Usage | None], None]:
    """What to call when the answer has ended: files the receipt, counts, logs one line.

    ``entry`` is the one that answered, if any was asked.
    """
    receipt = receipt.answered(status, 1000 * visit.upstream)
    if entry is not None:
        receipt = replace(receipt, upstream=entry.litellm_params.model)
    visit.receipt = None
    visit.parts.receipts.add(receipt)

    def ended(whole: bool, usage: Usage | None = None) -> None:
        if usage is not None:  # the tenant's limit goes by what the provider counts, too
            visit.tokens = usage.prompt_tokens + usage.completion_tokens
        done = receipt.ended(whole, usage, price_of(entry) if entry else None)
        parts = visit.parts
        parts.receipts.add(done)
        parts.metrics.count(done, status)
        parts.metrics.cache.follow(state_of(parts.recall, parts.scheduler.cache))
        log.info(
            "request",
            id=done.id,
            tenant=done.tenant,
            model=done.model,
            status=status,
            whole=whole,
            decision=done.decision,
            reason=done.reason,
            cache=done.cache,
            tokens_before=done.tokens_before,
            tokens_after=done.tokens_after,
            cached_tokens=usage.cached_tokens if usage else None,
            **{f"{stage}_ms": round(ms, 2) for stage, ms in done.ms.items()},
        )

    return ended
