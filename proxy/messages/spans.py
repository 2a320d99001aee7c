"""Set operations on marks: what is marked stays marked, and no character is marked twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from proxy.types import Mark


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
