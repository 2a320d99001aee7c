"""Spans of a text in little room: a long text's mask has thousands of them.

A tuple of pairs takes 120 bytes a span and keeps the garbage collector busy; this takes 8.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import overload

import numpy as np
import numpy.typing as npt

Span = tuple[int, int]
"""``[start, end)`` in characters."""

_MANY = 100
"""Spans from which on a text is cut faster by all of its bytes than span by span."""


class Spans(Sequence[Span]):
    """Spans that do not change; equal to any sequence of the same pairs."""

    __slots__ = ("edges",)

    def __init__(self, edges: npt.NDArray[np.uint32]) -> None:
        """``edges``: starts and ends in turn, shape ``(2 * spans,)``."""
        self.edges = edges

    @classmethod
    def of(cls, spans: Iterable[Span]) -> Spans:
        """The same spans, packed."""
        if isinstance(spans, Spans):
            return spans
        return cls(np.fromiter(chain.from_iterable(spans), np.uint32))

    @classmethod
    def unpack(cls, packed: bytes) -> Spans:
        """From what ``pack`` gave."""
        return cls(np.frombuffer(packed, np.uint32))

    def pack(self) -> bytes:
        """All of it, in 8 bytes a span."""
        return self.edges.tobytes()

    def cut(self, text: str) -> str:
        """What of the text lies in the spans, which ascend and do not overlap, in one piece."""
        if len(self) < _MANY or not text.isascii():
            return "".join([text[start:end] for start, end in self])
        edges = np.concatenate([[0], self.edges.astype(np.int64), [len(text)]])
        inside = np.arange(len(edges) - 1) % 2 == 1
        picked = np.repeat(inside, edges[1:] - edges[:-1])
        return bytes(np.frombuffer(text.encode(), np.uint8)[picked]).decode()

    def __len__(self) -> int:
        return len(self.edges) // 2

    def __iter__(self) -> Iterator[Span]:
        numbers = iter(self.edges.tolist())
        return zip(numbers, numbers, strict=True)

    @overload
    def __getitem__(self, index: int) -> Span: ...
    @overload
    def __getitem__(self, index: slice) -> Spans: ...
    def __getitem__(self, index: int | slice) -> Span | Spans:
        if isinstance(index, slice):
            return Spans(self.edges.reshape(-1, 2)[index].ravel())
        at = 2 * range(len(self))[index]
        return self.edges.item(at), self.edges.item(at + 1)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Spans):
            return np.array_equal(self.edges, other.edges)
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Spans({tuple(self)})"


def edges_of(spans: Iterable[Span]) -> npt.NDArray[np.int64]:
    """Start and end of each, shape ``(spans, 2)``."""
    if isinstance(spans, Spans):
        return spans.edges.reshape(-1, 2).astype(np.int64)
    # Not np.array, which takes ten times as long for pairs.
    return np.fromiter(chain.from_iterable(spans), np.int64).reshape(-1, 2)
