"""What the caches did, for Prometheus, added up over all workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge

Count = Mapping[str, int]
"""Numbers since the start, by the value of the metric's one label."""


@dataclass(frozen=True)
class CacheState:
    """All numbers of the caches of one worker at one moment."""

    messages: Count
    """Texts looked up, by where they were ``found``: ``memory`` or ``nowhere``."""
    windows: Count
    """Windows looked up, by where they were ``found``: ``memory``, ``store`` or ``nowhere``."""
    troubles: Count
    """``failed`` calls of the store, ``damaged`` entries, ``dropped`` ones that nobody wrote."""
    memory_bytes: int


class CacheMetrics:
    """The metrics, in a registry; they follow what they are told."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._told: dict[tuple[str, str], int] = {}
        self._counters = {
            "messages": Counter(
                "precis_cache_messages_total",
                "Texts looked up among those met before, by where they were found.",
                ("found",),
                registry=registry,
            ),
            "windows": Counter(
                "precis_cache_windows_total",
                "Windows looked up for their scores, by where these were found.",
                ("found",),
                registry=registry,
            ),
            "troubles": Counter(
                "precis_cache_troubles_total",
                "Failed calls of the store, damaged entries, entries that were not written.",
                ("kind",),
                registry=registry,
            ),
        }
        self._memory = Gauge(
            "precis_cache_memory_bytes",
            "Memory that the caches hold.",
            multiprocess_mode="livesum",
            registry=registry,
        )

    def follow(self, state: CacheState) -> None:
        """Add what has come since the last time."""
        for name, counter in self._counters.items():
            numbers: Count = getattr(state, name)
            for label, number in numbers.items():
                more = number - self._told.get((name, label), 0)
                if more > 0:
                    self._told[name, label] = number
                    counter.labels(label).inc(more)
        self._memory.set(state.memory_bytes)
