"""Set operations on marks: what is marked stays marked, and no character is marked twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from proxy.types import Mark, Region


def disjoint(marks: Iterable[Mark]) -> tuple[Mark, ...]:
    """The marks sorted and cut so that none overlap; together they cover the same characters.

    Of two that overlap, the one that starts first (then the longer one) stays whole.
    """
    found: list[Mark] = []
    end = 0
    for mark in sorted(marks, key=lambda m: (m.start, -m.end)):
        if mark.end > end:
            found.append(mark if mark.start >= end else Mark(end, mark.end, mark.reason))
            end = mark.end
    return tuple(found)


def without(marks: Sequence[Mark], blocks: Sequence[Mark]) -> tuple[Mark, ...]:
    """What of ``marks`` lies outside ``blocks``; both sorted and free of overlap."""
    found: list[Mark] = []
    first = 0
    for mark in marks:
        while first < len(blocks) and blocks[first].end <= mark.start:
            first += 1
        start, at = mark.start, first
        while at < len(blocks) and blocks[at].start < mark.end:
            if start < blocks[at].start:
                found.append(Mark(start, blocks[at].start, mark.reason))
            start = blocks[at].end
            at += 1
        if start < mark.end:
            found.append(mark if start == mark.start else Mark(start, mark.end, mark.reason))
    return tuple(found)


def layered(under: Sequence[Region], over: Sequence[Region]) -> tuple[Region, ...]:
    """The regions of both, each list sorted and free of overlap, cut so that none overlap.

    Where two overlap the one of ``over`` stays whole; without a rate it takes that of the one
    below, in pieces where that one ends.
    """
    edges = sorted({edge for r in (*under, *over) for edge in (r.start, r.end)})
    below, above = _covering(under, edges), _covering(over, edges)
    found: list[Region] = []
    last: tuple[Region | None, Region | None] = (None, None)
    for start, end, low, high in zip(edges, edges[1:], below, above, strict=False):
        if high is not None and high.rate is not None:
            low = None  # so that the region of over is not cut where that below begins or ends
        if (low, high) == last and found and found[-1].end == start:
            found[-1] = Region(found[-1].start, end, found[-1].rate)
        elif high is not None or low is not None:
            rate = high.rate if high is not None and high.rate is not None else None
            found.append(Region(start, end, low.rate if rate is None and low else rate))
        last = (low, high)
    return tuple(found)


def _covering(regions: Sequence[Region], edges: Sequence[int]) -> list[Region | None]:
    """The region that covers the space after each edge, if one does."""
    found: list[Region | None] = []
    at = 0
    for edge in edges:
        while at < len(regions) and regions[at].end <= edge:
            at += 1
        inside = at < len(regions) and regions[at].start <= edge
        found.append(regions[at] if inside else None)
    return found
