"""The quality guard's metrics: how far answers agree, what it did about that, what it cost."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from proxy.ledger.comparison import Comparison


class GuardMetrics:
    """Its routes are labels by their names; there are as many as the file has."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.comparisons = Counter(
            "precis_guard_comparisons_total",
            "Sampled requests, by what came of them: compared, failed, over budget.",
            ("route", "result"),
            registry=registry,
        )
        self.changes = Counter(
            "precis_guard_changes_total",
            "Changes of a route's rate: raised, lowered.",
            ("route", "direction"),
            registry=registry,
        )
        self.level = Gauge(
            "precis_guard_level",
            "Steps by which a route's rate is raised.",
            ("route",),
            multiprocess_mode="mostrecent",
            registry=registry,
        )
        self.agreement = Gauge(
            "precis_guard_agreement",
            "Mean agreement of the answers since the last change.",
            ("route",),
            multiprocess_mode="mostrecent",
            registry=registry,
        )
        self.tokens = Counter(
            "precis_guard_tokens_total",
            "Tokens of comparisons, beside the clients' own: prompt, completion.",
            ("tenant", "model", "kind"),
            registry=registry,
        )
        self.dollars = Counter(
            "precis_guard_dollars_total",
            "What comparisons cost, to be taken off the net saving.",
            ("tenant", "model"),
            registry=registry,
        )

    def count(self, route: str, who: tuple[str, str], comparison: Comparison) -> None:
        """Count a comparison that was made, or that came to nothing on the way."""
        result = "failed" if comparison.agreement is None else "compared"
        self.comparisons.labels(route, result).inc()
        self.tokens.labels(*who, "prompt").inc(comparison.prompt_tokens)
        self.tokens.labels(*who, "completion").inc(comparison.completion_tokens)
        self.dollars.labels(*who).inc(comparison.usd or 0.0)
