"""What was done and what it saved: receipts and metrics. Holds hashes and masks, never text."""

from pathlib import Path

from proxy.config_server import LedgerSettings
from proxy.ledger.cache_metrics import CacheState
from proxy.ledger.comparison import Comparison, cost
from proxy.ledger.metrics import Metrics
from proxy.ledger.receipts import Receipt, Receipts
from proxy.ledger.receipts_memory import MemoryReceipts
from proxy.ledger.usage import Usage

__all__ = [
    "CacheState",
    "Comparison",
    "Metrics",
    "Receipt",
    "Receipts",
    "Usage",
    "cost",
    "open_receipts",
]


def open_receipts(settings: LedgerSettings) -> Receipts:
    """The store that the configuration names. Raises ConfigError if it cannot be used."""
    if settings.store == "memory":
        return MemoryReceipts(settings.count or 10_000)
    from proxy.ledger.receipts_sqlite import SqliteReceipts  # not needed for the other

    return SqliteReceipts(
        Path(settings.path or ""),
        keep=settings.count,
        seconds=settings.seconds,
        max_bytes=int(settings.max_mb * 1_000_000),
    )
