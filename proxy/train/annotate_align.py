"""Finds the words of a compressed text in its original. Pure: words in, positions out.

Three ways. ``window`` is LLMLingua-2's (arXiv 2403.12968, algorithm 1): for each word the nearest
equal one around the last match, in both directions, so that reordered words are found, and
repeated ones often in the wrong place. ``exact`` is the best alignment that keeps the order: a
pure deletion is recovered exactly, a word that moved is not. ``both`` aligns first and then looks
in a window for rare words that are left.

Human highlights of debatesum-dev, 8-word pieces moved, words changed and put in at random; F1 of
the labels against the highlights:

======================================  ======  =====  ====
noise                                   window  exact  both
none, a pure deletion                   .978    .996   .996
10 % moved                              .969    .959   .976
5 % changed, 5 % put in, 5 % moved      .911    .965   .975
20 % changed, 10 % put in, 20 % moved   .810    .890   .926
======================================  ======  =====  ====

Of the authors' script all three avoid: equality of spaCy's lemmas alone, which turns the text that
is learnt from into another one than the text that is served; a scan whose time grows with the
window and which tries the first and last word again and again at the text's edges.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from proxy.train.annotate_stem import key

WINDOW = 150
"""Words to each side, the authors' default."""
RARE = 3
"""Occurrences in the original up to which ``both`` looks for a word that moved."""
MOST_CELLS = 100_000_000
"""Of the alignment's table, one byte each: two texts of 10,000 words. Chunks have some 400."""

Positions = list[int | None]
"""For each compressed word the original one that it was, or None."""
Align = Callable[[Sequence[str], Sequence[str], int], Positions]

_MATCH, _GLUED, _LEFT = 1, 2, 4


class TooLong(ValueError):
    """Two texts whose exact alignment would take too much memory."""


def align_window(
    original: Sequence[str], compressed: Sequence[str], window: int = WINDOW
) -> Positions:
    """The paper's fuzzy window. Each original word is used once, O(n log n).

    A match more than half a window ahead moves the window by half of itself only, so that one
    false match far ahead does not lose what lies between.
    """
    free = _Free(original)
    found: Positions = []
    centre = 0
    for word in compressed:
        at = free.take(key(word), centre, window)
        found.append(at)
        if at is not None:
            centre = min(at, centre + window // 2)
    return found


def align_exact(
    original: Sequence[str], compressed: Sequence[str], window: int = WINDOW
) -> Positions:
    """The order-keeping alignment with the most matches; ``window`` has no part in it.

    Among those, the one with the most matches in exactly the same letters; among those, with
    the most neighbours that stay neighbours. So if ``compressed`` is ``original`` with words left
    out, every word is matched to one of the same letters. Raises TooLong over ``MOST_CELLS``.
    """
    n, m = len(original), len(compressed)
    if n * m > MOST_CELLS:
        raise TooLong(f"{n:,} and {m:,} words are too long to align exactly; distil in chunks")
    return _trace(_table(original, compressed), n, m)


def align_both(
    original: Sequence[str], compressed: Sequence[str], window: int = WINDOW
) -> Positions:
    """``align_exact``, and for each rare word that it leaves out the nearest free equal one.

    A frequent word that fits nowhere in order was more likely put in than moved.
    """
    found = align_exact(original, compressed)
    free = _Free(original)
    rare = {name for name, count in free.counts().items() if count <= RARE}
    for at in found:
        if at is not None:
            free.remove(at)
    centre = 0
    for number, at in enumerate(found):
        if at is not None:
            centre = at
        elif key(compressed[number]) in rare:
            found[number] = free.take(key(compressed[number]), centre, window)
    return found


ALIGNMENTS: dict[str, Align] = {
    "window": align_window,
    "exact": align_exact,
    "both": align_both,
}


class _Free:
    """The original words that nothing was matched to yet, by key, each list sorted."""

    def __init__(self, words: Sequence[str]) -> None:
        self._keys = [key(word) for word in words]
        self._places: defaultdict[str, list[int]] = defaultdict(list)
        for place, name in enumerate(self._keys):
            self._places[name].append(place)

    def counts(self) -> dict[str, int]:
        """How many free places each key has."""
        return {name: len(places) for name, places in self._places.items()}

    def take(self, name: str, centre: int, window: int) -> int | None:
        """The free place nearest to ``centre`` and less than ``window`` away; ahead before behind.

        Looking it up by halving is what walking outwards a step at a time comes to.
        """
        places = self._places.get(name, [])
        ahead = bisect_left(places, centre)
        near = [index for index in (ahead, ahead - 1) if 0 <= index < len(places)]
        if not near:
            return None
        index = min(near, key=lambda index: abs(places[index] - centre))
        if abs(places[index] - centre) >= window:
            return None
        return places.pop(index)

    def remove(self, place: int) -> None:
        """Takes a place that is known to be free."""
        places = self._places[self._keys[place]]
        places.pop(bisect_left(places, place))


def _table(original: Sequence[str], compressed: Sequence[str]) -> npt.NDArray[np.uint8]:
    """How the best alignment of each pair of beginnings ends, shape ``(n, m)``, flags.

    One row for each original word, all compressed words at once. ``best`` is the best score of
    the beginnings; ``ended`` the best that ends with a match of the two last words.
    """
    keys, letters = _numbered(original, compressed, key), _numbered(original, compressed, str)
    n, m = len(original), len(compressed)
    # Lexicographic: one match outweighs all same letters, those outweigh all neighbours.
    match, same = (m + 1) ** 2, m + 1
    best = np.zeros(m + 1, dtype=np.int64)
    ended = np.full(m + 1, -1, dtype=np.int64)
    flags = np.zeros((n, m), dtype=np.uint8)
    for row in range(n):
        equal = keys[1] == keys[0][row]
        worth = match + same * (letters[1] == letters[0][row])
        glued = (ended[:-1] >= 0) & (ended[:-1] + 1 >= best[:-1])
        matched = np.where(equal, worth + np.where(glued, ended[:-1] + 1, best[:-1]), -1)
        above = best.copy()
        best[1:] = np.maximum(above[1:], matched)
        np.maximum.accumulate(best, out=best)
        ended[1:] = matched
        flags[row] = (
            _MATCH * (matched >= best[1:])
            + _GLUED * (glued & equal)
            + _LEFT * (best[:-1] >= best[1:])
        )
    return flags


def _numbered(
    original: Sequence[str], compressed: Sequence[str], name: Callable[[str], str]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Both texts with a number for each different name of a word."""
    numbers: dict[str, int] = {}
    first, second = (
        np.array([numbers.setdefault(name(word), len(numbers)) for word in words], dtype=np.int64)
        for words in (original, compressed)
    )
    return first, second


def _trace(flags: npt.NDArray[np.uint8], n: int, m: int) -> Positions:
    """The matches, found backwards from the ends of both texts."""
    found: Positions = [None] * m
    row, column, must = n - 1, m - 1, False
    while row >= 0 and column >= 0:
        flag = int(flags[row, column])
        if must or flag & _MATCH:
            found[column] = row
            must = bool(flag & _GLUED)
            row, column = row - 1, column - 1
        elif flag & _LEFT:
            column -= 1
        else:
            row -= 1
    return found
