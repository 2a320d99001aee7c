"""A text as the classifier reads it: without what is dropped, and with its escapes decoded.

Offsets of the reading and of the text differ where the two do; here they are turned into each
other. Knows nothing of what escapes and dropped spans are for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from proxy.spans import Spans, edges_of
from proxy.types import Escape, Mark, Span

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Reading:
    """What is read of ``source``, character by character."""

    source: str
    text: str
    starts: Ints
    """Where in the source each character begins, shape ``(characters,)``; empty if ``plain``."""
    ends: Ints
    plain: bool
    """Whether source and text are the same."""

    @classmethod
    def of(
        cls, source: str, escapes: Sequence[Escape] = (), dropped: Sequence[Mark] = ()
    ) -> Reading:
        """``escapes`` and ``dropped`` are sorted and free of overlap, also with each other."""
        if not escapes and not dropped:
            nothing = np.zeros(0, dtype=np.int64)
            return cls(source, source, nothing, nothing, True)
        edits = [(e.start, e.end, e.char) for e in escapes] + [
            (m.start, m.end, "") for m in dropped
        ]
        begins = np.ones(len(source), dtype=np.bool_)  # whether a read character begins there
        pieces, at = [], 0
        for start, end, char in sorted(edits):
            pieces += [source[at:start], char]
            begins[start + len(char) : end] = False
            at = end
        starts = np.flatnonzero(begins)
        ends = starts + 1
        first = np.array([e.start for e in escapes], dtype=np.int64)
        ends[np.searchsorted(starts, first)] = [e.end for e in escapes]
        return cls(source, "".join([*pieces, source[at:]]), starts, ends, False)

    @cached_property
    def sent(self) -> str:
        """The source without what is dropped: what is sent if everything read is kept."""
        return self.source if self.plain else self.written(self.rest)

    @property
    def rest(self) -> Spans:
        """Spans of the source that are read."""
        return self.spans([(0, len(self.text))] if self.text else [])

    @cached_property
    def offsets(self) -> Ints:
        """Where in ``sent`` each character of ``text`` begins, and its end, one more than read."""
        if self.plain:
            return np.arange(len(self.text) + 1)
        return np.concatenate([[0], np.cumsum(self.ends - self.starts)])

    @cached_property
    def breaks(self) -> Ints:
        """Characters before which something of the source is not read."""
        return np.flatnonzero(self.starts[1:] != self.ends[:-1]) + 1

    def places(self, spans: Sequence[Span]) -> list[Span]:
        """Spans of the source as spans of ``text``; those of which nothing is read are left out."""
        if self.plain or not spans:
            return list(spans)
        edges = edges_of(spans)
        low = np.searchsorted(self.ends, edges[:, 0], side="right").tolist()
        high = np.searchsorted(self.starts, edges[:, 1], side="left").tolist()
        return [(s, e) for s, e in zip(low, high, strict=True) if s < e]

    def outer(self, spans: Sequence[Span]) -> list[Span]:
        """Spans of ``text`` (not empty) as spans of the source, with what is dropped in them."""
        if self.plain or not spans:
            return list(spans)
        edges = edges_of(spans)
        starts, ends = self.starts[edges[:, 0]], self.ends[edges[:, 1] - 1]
        return list(zip(starts.tolist(), ends.tolist(), strict=True))

    def spans(self, spans: Sequence[Span]) -> Spans:
        """Spans of ``text`` (sorted, apart, not empty) as spans of the source that are read."""
        if self.plain or not len(spans):
            return Spans.of(spans)
        edges = edges_of(spans)
        low, high = np.searchsorted(self.breaks, (edges[0, 0], edges[-1, 1]))
        breaks = self.breaks[low:high]
        inside = breaks[_strictly_within(breaks, edges)]
        starts = self.starts[np.sort(np.concatenate([edges[:, 0], inside]))]
        ends = self.ends[np.sort(np.concatenate([edges[:, 1], inside])) - 1]
        return Spans(np.stack([starts, ends], axis=1).ravel().astype(np.uint32))

    def written(self, spans: Spans) -> str:
        """The text of spans of the source."""
        return spans.cut(self.source)


def _strictly_within(points: Ints, edges: Ints) -> npt.NDArray[np.bool_]:
    """Which of the points cut one of the spans ``edges``, shape ``(spans, 2)``, in two."""
    at = np.searchsorted(edges[:, 0], points, side="left") - 1
    return np.asarray((at >= 0) & (points < edges[at, 1]))
