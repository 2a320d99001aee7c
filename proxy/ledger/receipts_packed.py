"""A receipt as bytes: a fifth of what its objects take, and the collector has nothing to visit."""

from __future__ import annotations

from dataclasses import fields, replace
from operator import attrgetter
from typing import Any

import msgspec

from proxy.ledger.receipts import Receipt
from proxy.spans import Spans
from proxy.types import Decision

_RECEIPT = tuple(field.name for field in fields(Receipt))
_DECISION = tuple(field.name for field in fields(Decision))
_MESSAGES, _KEPT = _RECEIPT.index("messages"), _DECISION.index("kept")
_of_receipt, _of_decision = attrgetter(*_RECEIPT), attrgetter(*_DECISION)
_encode = msgspec.msgpack.Encoder().encode


def pack(receipt: Receipt) -> bytes:
    """All of it, names of fields left out. Some microseconds, and one more a message."""
    row = list(_of_receipt(receipt))
    row[_MESSAGES] = [_pack_decision(done) for done in receipt.messages]
    return _encode(row)


def unpack(packed: bytes) -> Receipt:
    """The receipt that ``pack`` was given, of this process: no version is written down."""
    row: list[Any] = msgspec.msgpack.decode(packed)
    messages, row[_MESSAGES] = row[_MESSAGES], ()
    receipt = msgspec.convert(dict(zip(_RECEIPT, row, strict=True)), Receipt)
    return replace(receipt, messages=tuple(map(_unpack_decision, messages)))


def _pack_decision(done: Decision) -> list[Any]:
    values = list(_of_decision(done))
    values[_KEPT] = Spans.of(done.kept).pack()
    return values


def _unpack_decision(values: list[Any]) -> Decision:
    values[_KEPT] = Spans.unpack(values[_KEPT])
    return Decision(*values)
