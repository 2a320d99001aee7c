"""Metrics of tokens: as they came, as they went, what was saved, what upstreams counted."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from proxy.ledger.receipts import Receipt
from proxy.ledger.savings import Savings
from proxy.ledger.usage import Usage

_WHO = ("tenant", "model")


class TokenMetrics:
    """All of them by tenant and model."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.before = Counter(
            "precis_prompt_tokens_before_total",
            "Prompt tokens of policy-covered requests as they came.",
            _WHO,
            registry=registry,
        )
        self.after = Counter(
            "precis_prompt_tokens_after_total",
            "Prompt tokens of policy-covered requests as they went upstream.",
            _WHO,
            registry=registry,
        )
        self.saved = Counter(
            "precis_prompt_tokens_saved_total",
            "Prompt tokens that compression took away; in shadow mode, that it would take away.",
            (*_WHO, "decision"),
            registry=registry,
        )
        self.upstream = Counter(
            "precis_upstream_tokens_total",
            "What upstreams counted, where they told: prompt, cached (of the prompt), completion.",
            (*_WHO, "kind"),
            registry=registry,
        )
        self.net = NetMetrics(registry)

    def count(self, receipt: Receipt, who: tuple[str, str]) -> None:
        """Count one answered request of that tenant and model."""
        if receipt.tokens_before is not None and receipt.tokens_after is not None:
            shadow = receipt.decision == "shadow"  # there the original goes upstream
            sent = receipt.tokens_before if shadow else receipt.tokens_after
            self.before.labels(*who).inc(receipt.tokens_before)
            self.after.labels(*who).inc(sent)
            if receipt.saved:
                self.saved.labels(*who, receipt.decision).inc(receipt.saved)
        if receipt.usage is not None:
            self._count_upstream(receipt.usage, who)
        if receipt.savings is not None and receipt.savings.gross_tokens:
            self.net.count(receipt.savings, (*who, receipt.decision))

    def _count_upstream(self, usage: Usage, who: tuple[str, str]) -> None:
        for kind, tokens in (
            ("prompt", usage.prompt_tokens),
            ("cached", usage.cached_tokens or 0),
            ("completion", usage.completion_tokens),
        ):
            self.upstream.labels(*who, kind).inc(tokens)


class NetMetrics:
    """What of the saved tokens the provider's cache had made cheap anyway; both in money, too."""

    def __init__(self, registry: CollectorRegistry) -> None:
        what = (*_WHO, "decision")
        self.cached_anyway = Counter(
            "precis_prompt_tokens_cached_anyway_total",
            "Of the saved prompt tokens, those that the provider's cache had made cheap anyway.",
            what,
            registry=registry,
        )
        self.dollars = Counter(
            "precis_saved_dollars_total",
            "Full price of the saved prompt tokens.",
            what,
            registry=registry,
        )
        self.dollars_anyway = Counter(
            "precis_cached_anyway_dollars_total",
            "Of that, what the provider's cache had taken off anyway; the rest is the net saving.",
            what,
            registry=registry,
        )

    def count(self, saved: Savings, what: tuple[str, str, str]) -> None:
        """Count the savings of one request, by tenant, model and decision."""
        self.cached_anyway.labels(*what).inc(saved.gross_tokens - saved.net_tokens)
        if saved.gross_usd is not None and saved.net_usd is not None:
            self.dollars.labels(*what).inc(saved.gross_usd)
            self.dollars_anyway.labels(*what).inc(max(0.0, saved.gross_usd - saved.net_usd))
