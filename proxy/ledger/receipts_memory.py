"""Receipts in memory, for one worker: nothing to set up, and gone with the process."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from proxy.ledger.receipts import Receipt, not_found
from proxy.ledger.receipts_packed import pack, unpack

_MANY = 500
"""Messages of which on a receipt is held as it is: to pack it would hold up other requests."""


class _Held(NamedTuple):
    tenant: str
    spans: int
    body: bytes | Receipt


class MemoryReceipts:
    """The latest receipts, packed once their requests have ended; the oldest go first.

    ``spans`` bounds their masks together, which for long prompts are nearly all of their size: a
    span takes 8 bytes.
    """

    def __init__(self, size: int = 10_000, spans: int = 500_000) -> None:
        self._size, self._spans = size, spans
        self._held = 0
        self._kept: OrderedDict[str, _Held] = OrderedDict()

    def add(self, receipt: Receipt) -> None:
        earlier = self._kept.pop(receipt.id, None)
        if earlier is not None:
            self._held -= earlier.spans
        spans = sum(len(done.kept) for done in receipt.messages)
        under_way = receipt.whole is None and not receipt.error  # it will soon be added anew
        body = receipt if under_way or len(receipt.messages) > _MANY else pack(receipt)
        self._kept[receipt.id] = _Held(receipt.tenant, spans, body)
        self._held += spans
        while len(self._kept) > self._size or (self._held > self._spans and len(self._kept) > 1):
            _, oldest = self._kept.popitem(last=False)
            self._held -= oldest.spans

    async def get(self, receipt_id: str, tenant: str) -> Receipt:
        found = self._kept.get(receipt_id)
        if found is None or found.tenant != tenant:
            raise not_found(f"{self._size} at most, in memory")
        return unpack(found.body) if isinstance(found.body, bytes) else found.body

    def close(self) -> None:
        """There is nothing to write."""
