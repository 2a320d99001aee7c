"""The last step: when an answer has ended, its receipt is filed, counted and logged."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from proxy.api.parts import Visit
from proxy.api.recall import state_of
from proxy.config_upstreams import ModelEntry
from proxy.ledger import Receipt, Usage
from proxy.prices import price_of

log = structlog.get_logger("precis")


def close(
    visit: Visit, receipt: Receipt, status: int, entry: ModelEntry | None = None
) -> tuple[Receipt, Callable[[bool, Usage | None], None]]:
    """The receipt as it is filed, and what to call when the answer has ended.

    That counts, files the receipt once more, and logs one line. ``entry`` is the one that
    answered, if any was asked.
    """
    upstream = entry.litellm_params.model if entry else ""
    receipt = receipt.answered(status, visit.spent(), upstream=upstream)
    visit.receipt = None
    visit.parts.receipts.add(receipt)

    def ended(whole: bool, usage: Usage | None = None) -> None:
        if usage is not None:  # the tenant's limit goes by what the provider counts, too
            visit.tokens = usage.prompt_tokens + usage.completion_tokens
        done = receipt.ended(whole, usage, price_of(entry) if entry else None)
        parts = visit.parts
        parts.receipts.add(done)
        parts.metrics.count(done, status)
        if done.tokens_before is not None:  # else no cache was asked
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

    return receipt, ended
