"""Cuts a text's tokens into windows for the classifier, at the ends of sentences.

Cuts depend on what stands around them and not on how far the text has gone: a text that grows at
its end, or changes in one place, keeps all its other windows, and their scores can be reused.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from proxy.compress.words import Units

Ints = npt.NDArray[np.int64]

_CONTEXT = 24
"""Characters before a cut that decide between cuts of equal strength."""


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens ``[start, end)`` of a text, scored in one run of the classifier."""

    start: int
    end: int


def cut(units: Units, first_tokens: Ints, limit: int, chunk_end: tuple[str, ...]) -> list[Window]:
    """Windows of at most ``limit`` tokens that cover all tokens of the text, in order.

    ``first_tokens``, shape ``(units + 1,)``: index of each unit's first token, and the number of
    tokens. A window ends where a unit ends, at the strongest place in its second half (an empty
    line, a line's end, a sentence's end, any unit), except where a single unit is too long.
    """
    total = int(first_tokens[-1])
    if total <= limit:
        return [Window(0, total)] if total else []
    strengths = _strengths(units, chunk_end)
    windows: list[Window] = []
    start = 0
    while total - start > limit:
        end = _next_cut(units, first_tokens, strengths, (start, limit))
        windows.append(Window(start, end))
        start = end
    if total > start:
        windows.append(Window(start, total))
    return windows


def _next_cut(units: Units, first_tokens: Ints, strengths: Ints, reach: tuple[int, int]) -> int:
    start, limit = reach
    low = int(np.searchsorted(first_tokens, start + limit // 2, side="right"))
    high = int(np.searchsorted(first_tokens, start + limit, side="right"))
    if low >= high:  # a unit that spans more than half a window
        fits = int(first_tokens[high - 1])
        return fits if fits > start else start + limit
    found = strengths[low - 1 : high - 1]
    best = np.flatnonzero(found == found.max()) + low - 1
    ends = units.ends[best].tolist()
    text = units.text
    keys = [zlib.crc32(text[max(0, e - _CONTEXT) : e].encode("utf-8", "replace")) for e in ends]
    return int(first_tokens[best[int(np.argmin(keys))] + 1])


def _strengths(units: Units, chunk_end: tuple[str, ...]) -> Ints:
    """How well a window may end after each unit: 3 empty line, 2 line, 1 sentence, 0 elsewhere."""
    sentence_ends = {end for end in chunk_end if not end.isspace()}
    strengths = units.each(sentence_ends.__contains__, np.int64)
    if "\n" in chunk_end:
        places = np.flatnonzero(units.codes == ord("\n"))
        gap_ends = np.append(units.starts[1:], len(units.text))
        lines = np.searchsorted(places, gap_ends) - np.searchsorted(places, units.ends)
        strengths = np.where(lines > 0, 1 + np.minimum(lines, 2), strengths)
    return strengths
