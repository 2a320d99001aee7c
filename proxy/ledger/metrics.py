"""Prometheus metrics: what came, what was decided, what it saved, what it cost."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from proxy.ledger.cache_metrics import CacheMetrics
from proxy.ledger.metrics_guard import GuardMetrics
from proxy.ledger.metrics_tokens import TokenMetrics
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
        self.tokens = TokenMetrics(self.registry)
        self.guard = GuardMetrics(self.registry)
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

    def who(self, receipt: Receipt) -> tuple[str, str]:
        """Tenant and model; one that is not written out in the file is "other"."""
        return receipt.tenant, receipt.model if receipt.model in self._models else "other"

    def count(self, receipt: Receipt, status: int) -> None:
        """Count one answered request."""
        who = self.who(receipt)
        self.requests.labels(*who, receipt.decision, str(status)).inc()
        self.tokens.count(receipt, who)
        if receipt.decision == "compressed":
            self.compression.observe(receipt.ms.get("compress", 0.0) / 1000)
        self.overhead.observe(receipt.ms.get("overhead", 0.0) / 1000)

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        if self._shared is None:
            return generate_latest(self.registry)
        gathered = CollectorRegistry()
        MultiProcessCollector(gathered, str(self._shared))  # type: ignore[no-untyped-call]
        return generate_latest(gathered)
