"""The step that compresses: what is known, what is new, all of it verified; or it fails open."""

from __future__ import annotations

import asyncio
import time
import traceback
from dataclasses import replace

import structlog

from proxy.api.outcome import undecided
from proxy.api.parts import Visit
from proxy.api.recall import Recall
from proxy.api.steps import recalling, where_it_fits
from proxy.compress.draft import Job, as_it_came
from proxy.compress.scheduler import Order
from proxy.config_policy import Policy
from proxy.errors import CompressionError, DeadlineExceeded, LimitError
from proxy.gate import verify_request
from proxy.messages.body import Chat
from proxy.routing import Route
from proxy.tokens import encoding
from proxy.types import Compressed, Passage

log = structlog.get_logger("precis")


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
    again = recalling(size, len(passages))
    known = await where_it_fits(visit, again, _known, how, passages)
    left = tuple(p for p, result in zip(passages, known, strict=True) if result is None)
    recalled = 1000 * (time.perf_counter() - started)
    try:
        order = _order(visit, policy, encoding_name)
        results = await visit.parts.scheduler.compress(left, order)
    except (CompressionError, LimitError) as exc:
        failure = _failure(exc)
        if policy.on_error == "fail" and route.mode != "shadow":
            visit.receipt = undecided(visit, route, encoding_name, failure)
            raise
        log.warning("failed open", id=visit.id, reason=failure, error=_cause(exc))
        given = (chat, passages, policy, encoding_name, failure)
        return await asyncio.to_thread(_as_they_came, *given), failure
    ms = {} if left else {"recall": recalled}
    rest = iter(results)
    all_results = tuple(next(rest) if r is None else replace(r, ms=ms) for r in known)
    fresh = frozenset(i for i, result in enumerate(known) if result is None)
    again += sum(len(passage.text) for passage in left)
    return await where_it_fits(visit, again, _verified, how, chat, passages, all_results, fresh), ""


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


def _failure(exc: CompressionError | LimitError) -> str:
    if isinstance(exc, DeadlineExceeded):
        return "deadline"
    return "queue full" if isinstance(exc, LimitError) else "error"


def _order(visit: Visit, policy: Policy, encoding_name: str) -> Order:
    return Order(
        rules=policy.rules,
        rate_for=policy.rate_for,
        encoding=encoding_name,
        target_tokens=policy.target_tokens,
        min_tokens=policy.min_tokens,
        pays_over=policy.worth_from,
        deadline_ms=policy.deadline_ms,
        tenant=visit.tenant_name,
    )
