"""What went with a whole document or paragraph: of it nothing was promised any more."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from proxy.types import Compressed, Context, Mark, Passage, Span


class _Placed(Protocol):
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


T = TypeVar("T", bound=_Placed)


def contexts_gone(passage: Passage, compressed: Compressed) -> tuple[Context, ...]:
    """The contexts that may go and of which nothing but white space was kept."""
    if compressed.reason or not passage.contexts:
        return ()
    text, kept = passage.text, tuple(compressed.kept)
    return tuple(
        context
        for context in passage.contexts
        if not context.stays
        and all(text[s:e].isspace() for s, e in _within(context, kept))
        and text[context.start : context.end].strip()
    )


def without_gone(passage: Passage, compressed: Compressed) -> Passage:
    """The passage as if all that went with its contexts were spans that must not be sent."""
    gone = contexts_gone(passage, compressed)
    if not gone:
        return passage
    dropped, kept = list(passage.dropped), tuple(compressed.kept)
    for context in gone:
        spaces = _within(context, kept)
        edges = [context.start, *(edge for space in spaces for edge in space), context.end]
        dropped += [
            Mark(s, e, "context") for s, e in zip(edges[::2], edges[1::2], strict=True) if s < e
        ]
    return replace(
        passage,
        intact=_outside(passage.intact, gone),
        forced=_outside(passage.forced, gone),
        escapes=_outside(passage.escapes, gone),
        dropped=tuple(sorted(dropped, key=lambda mark: mark.start)),
    )


def _within(context: Context, kept: Sequence[Span]) -> list[Span]:
    """What of the kept spans lies within the context."""
    low = bisect_right(kept, context.start, key=lambda span: span[1])
    high = bisect_left(kept, context.end, key=lambda span: span[0])
    return [(max(s, context.start), min(e, context.end)) for s, e in kept[low:high]]


def _outside(pieces: Sequence[T], gone: Sequence[Context]) -> tuple[T, ...]:
    """Those of the pieces that do not lie in a context that went."""
    starts = [context.start for context in gone]

    def stays(piece: T) -> bool:
        at = bisect_right(starts, piece.start) - 1
        return at < 0 or piece.end > gone[at].end

    return tuple(piece for piece in pieces if stays(piece))
