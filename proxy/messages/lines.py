"""The lines of a text as offsets."""

from __future__ import annotations

from collections.abc import Iterator

from proxy.types import Span


def lines(text: str) -> Iterator[Span]:
    """``[start, end)`` of each line without its line feed; a text without one is one line."""
    start = 0
    while start <= len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield start, end
        start = end + 1
