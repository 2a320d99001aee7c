"""Receipts in memory, for one worker: nothing to set up, and gone with the process."""

from __future__ import annotations

from collections import OrderedDict

from proxy.ledger.receipts import Receipt, not_found


class MemoryReceipts:
    """The latest receipts; the oldest go first.

    ``spans`` bounds their masks together, which for long prompts are nearly all of their size: a
    span takes some 120 bytes.
    """

    def __init__(self, size: int = 10_000, spans: int = 500_000) -> None:
        self._size, self._spans = size, spans
        self._held = 0
        self._kept: OrderedDict[str, Receipt] = OrderedDict()

    def add(self, receipt: Receipt) -> None:
        earlier = self._kept.pop(receipt.id, None)
        if earlier is not None:
            self._held -= _spans(earlier)
        self._kept[receipt.id] = receipt
        self._held += _spans(receipt)
        while len(self._kept) > self._size or (self._held > self._spans and len(self._kept) > 1):
            _, oldest = self._kept.popitem(last=False)
            self._held -= _spans(oldest)

    async def get(self, receipt_id: str, tenant: str) -> Receipt:
        receipt = self._kept.get(receipt_id)
        if receipt is None or receipt.tenant != tenant:
            raise not_found(f"{self._size} at most, in memory")
        return receipt

    def close(self) -> None:
        """There is nothing to write."""


def _spans(receipt: Receipt) -> int:
    return sum(len(done.kept) for done in receipt.messages)
