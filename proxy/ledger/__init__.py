"""What was done and what it saved: receipts and metrics. Holds hashes and masks, never text."""

from proxy.ledger.metrics import Metrics
from proxy.ledger.receipts import Receipt, Receipts

__all__ = ["Metrics", "Receipt", "Receipts"]
