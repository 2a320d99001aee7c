"""Prometheus metrics: what came, what was decided, what it saved, what it cost."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from proxy.ledger.cache_metrics import CacheMetrics
from proxy.ledger.metrics_guard import GuardMetrics
from proxy.ledger.receipts import Receipt

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class Metrics:
    """All metrics of one server, in a registry of their own, or of all its workers together."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, models: Collection[str] = (), shared: Path | None = None) -> None:
        """``models``: the names that may become labels, for what a client makes up must not.

        ``shared``: where prometheus_client keeps the values of all workers. It has to have found
        that in PROMETHEUS_MULTIPROC_DIR when it was imported.
        """
        self._models = frozenset(models)
        self._shared = shared
        self.registry = CollectorRegistry()
        self.cache = CacheMetrics(self.registry)
        self.requests = Counter(
            "precis_requests_total",
            "Requests by tenant, model, decision and HTTP status.",
            ("tenant", "model", "decision", "status"),
            registry=self.registry,
        )
        self.errors = Counter(
            "precis_errors_total",
            "Requests that ended in an error of ours, by its code.",
            ("code",),
            registry=self.registry,
        )
        self.tokens_before = Counter(
            "precis_prompt_tokens_before_total",
            "Prompt tokens of policy-covered requests as they came.",
            ("tenant", "model"),
            registry=self.registry,
        )
        self.tokens_after = Counter(
            "precis_prompt_tokens_after_total",
            "Prompt tokens of policy-covered requests as they went upstream.",
            ("tenant", "model"),
            registry=self.registry,
        )
        self.saved = Counter(
            "precis_prompt_tokens_saved_total",
            "Prompt tokens that compression took away; in shadow mode, that it would take away.",
            ("tenant", "model", "decision"),
            registry=self.registry,
        )
        self.cached_anyway = Counter(
            "precis_prompt_tokens_cached_anyway_total",
            "Of the saved prompt tokens, those that the provider's cache had made cheap anyway.",
            ("tenant", "model", "decision"),
            registry=self.registry,
        )
        self.dollars = Counter(
            "precis_saved_dollars_total",
            "Full price of the saved prompt tokens.",
            ("tenant", "model", "decision"),
            registry=self.registry,
        )
        self.dollars_anyway = Counter(
            "precis_cached_anyway_dollars_total",
            "Of that, what the provider's cache had taken off anyway; the rest is the net saving.",
            ("tenant", "model", "decision"),
            registry=self.registry,
        )
        self.upstream_tokens = Counter(
            "precis_upstream_tokens_total",
            "What upstreams counted, where they told: prompt, cached (of the prompt), completion.",
            ("tenant", "model", "kind"),
            registry=self.registry,
        )
        self.compression = Histogram(
            "precis_compression_seconds",
            "Time spent compressing, for requests that were compressed.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.overhead = Histogram(
            "precis_overhead_seconds",
            "Time between the request's arrival and the answer's headers, less the upstream's.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.queue = Gauge(
            "precis_queue_tokens",
            "Tokens that wait for the classifier.",
            multiprocess_mode="livesum",
            registry=self.registry,
        )

        self.guard = GuardMetrics(self.registry)

    def who(self, receipt: Receipt) -> tuple[str, str]:
        """Tenant and model; one that is not written out in the file is "other"."""
        return receipt.tenant, receipt.model if receipt.model in self._models else "other"

    def count(self, receipt: Receipt, status: int) -> None:
        """Count one answered request."""
        who = self.who(receipt)
        self.requests.labels(*who, receipt.decision, str(status)).inc()
        if receipt.tokens_before is not None and receipt.tokens_after is not None:
            shadow = receipt.decision == "shadow"  # there the original goes upstream
            sent = receipt.tokens_before if shadow else receipt.tokens_after
            self.tokens_before.labels(*who).inc(receipt.tokens_before)
            self.tokens_after.labels(*who).inc(sent)
            if receipt.saved:
                self.saved.labels(*who, receipt.decision).inc(receipt.saved)
        self._count_upstream(receipt, who)
        if receipt.decision == "compressed":
            self.compression.observe(receipt.ms.get("compress", 0.0) / 1000)
        self.overhead.observe(receipt.ms.get("overhead", 0.0) / 1000)

    def _count_upstream(self, receipt: Receipt, who: tuple[str, str]) -> None:
        usage, saved = receipt.usage, receipt.savings
        if usage is not None:
            for kind, tokens in (
                ("prompt", usage.prompt_tokens),
                ("cached", usage.cached_tokens or 0),
                ("completion", usage.completion_tokens),
            ):
                self.upstream_tokens.labels(*who, kind).inc(tokens)
        if saved is not None and saved.gross_tokens:
            labels = (*who, receipt.decision)
            self.cached_anyway.labels(*labels).inc(saved.gross_tokens - saved.net_tokens)
            if saved.gross_usd is not None and saved.net_usd is not None:
                self.dollars.labels(*labels).inc(saved.gross_usd)
                self.dollars_anyway.labels(*labels).inc(max(0.0, saved.gross_usd - saved.net_usd))

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        if self._shared is None:
            return generate_latest(self.registry)
        gathered = CollectorRegistry()
        MultiProcessCollector(gathered, str(self._shared))  # type: ignore[no-untyped-call]
        return generate_latest(gathered)
