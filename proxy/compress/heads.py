"""What opens a line and stands over what follows: a speaker's label, the mark and key of an item.

A head stays exactly as long as any word under it does, whole, and goes with the last one: else
what one speaker said would be read as another's, and lists would be full of marks without words.
Where a mark stays in any case, such as a number, the best word of its item does as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from proxy.compress.items import Head, is_mark, items, quoted_lines
from proxy.compress.turns import turns
from proxy.compress.words import LINE, PUNCTUATION, Units
from proxy.types import Rules

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Heads:
    """The heads of a text and what they stand over, as runs of units.

    Arrays have shape ``(heads,)``. Heads do not overlap, but one may lie under another.
    """

    units: Units
    starts: Ints
    """First unit of each head."""
    words: Ints
    """Unit after its last: the first of those under it."""
    ends: Ints
    """Unit after the last under it."""

    @classmethod
    def among(cls, units: Units, rules: Rules, stretch: Ints | None = None) -> Heads:
        """Those of the text that the units were split from that have a word under them.

        Nothing is under a head, nor in one, from where on ``stretch`` (growing) differs.
        """
        edges = np.array(_apart(_found(units, rules, stretch)), dtype=np.int64).reshape(-1, 3)
        starts, words, ends = np.searchsorted(units.starts, edges).T
        whole = words > starts
        inner = np.maximum(words - 1, 0)
        if len(starts):
            # Those in a block are parts of it, and so are those that begin one.
            whole &= (units.ends[inner] <= edges[:, 1]) & ~units.intact[inner]
        if stretch is not None and len(starts):
            last = np.searchsorted(stretch, stretch[np.minimum(starts, len(units) - 1)], "right")
            whole &= words <= last
            ends = np.minimum(ends, last)
        whole &= ends > words
        heads = cls(units, starts[whole], words[whole], ends[whole])
        if not len(heads):
            return heads
        over = heads._most(np.ones(len(units), dtype=np.float32), 0) > 0
        return cls(units, heads.starts[over], heads.words[over], heads.ends[over])

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def inside(self) -> Bools:
        """Which units belong to heads, shape ``(units,)``."""
        inside = np.zeros(len(self.units), dtype=np.bool_)
        inside[ranges(self.starts, self.words)] = True
        return inside

    @cached_property
    def content(self) -> Bools:
        """Units for which a head stays: words and blocks outside of heads, shape ``(units,)``."""
        kinds = self.units.kinds
        return np.asarray((kinds != PUNCTUATION) & (kinds != LINE) & ~self.inside)

    def with_what_stays(self, forced: Bools) -> Bools:
        """``forced`` with the heads in which, or under which, something is forced."""
        if not len(self):
            return forced
        stays = self._most(forced.astype(np.float32), 0) > 0
        stays |= _reduced(np.maximum, np.append(forced, False), self.starts, self.words)
        result = forced.copy()
        result[ranges(self.starts[stays], self.words[stays])] = True
        return result

    def with_a_word(self, forced: Bools, worth: Floats) -> Bools:
        """``forced`` with the best word of each item of which the mark is forced and no word.

        A label or key needs none: it says something by itself.
        """
        if not len(self):
            return forced
        bare = forced[self.starts] & (self._most(forced.astype(np.float32), 0) <= 0)
        result = forced.copy()
        for index in np.flatnonzero(bare)[::-1].tolist():  # those further in first
            start, words = int(self.starts[index]), int(self.words[index])
            head = self.units.text[self.units.starts[start] : self.units.ends[words - 1]]
            if not is_mark(head):
                continue
            under = slice(words, int(self.ends[index]))
            content = self.content[under]
            if not (result[under] & content).any():
                best = np.argmax(np.where(content, worth[under], -np.inf))
                result[under.start + int(best)] = True
        return self.with_what_stays(result)

    def worth(self, worth: Floats) -> Floats:
        """``worth`` with that of each head raised or lowered to that of the best word under it."""
        if not len(self):
            return worth
        raised = worth.copy()
        best = self._most(worth, -np.inf)
        raised[ranges(self.starts, self.words)] = np.repeat(best, self.words - self.starts)
        return raised

    def first(self, order: Ints) -> Ints:
        """For each head the word under it that comes first in ``order``, which has all units."""
        if not len(self):
            return order[:0]
        place = np.full(len(order) + 1, len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        place[:-1][~self.content] = len(order)
        return np.asarray(order[_reduced(np.minimum, place, self.words, self.ends)])

    def whole(self, kept: Bools, forced: Bools) -> Bools:
        """``kept`` with the heads over what is kept or forced, and no others."""
        if not len(self):
            return kept
        stays = forced[self.starts] | (self._most(kept.astype(np.float32), 0) > 0)
        result = kept & ~self.inside
        result[ranges(self.starts[stays], self.words[stays])] = True
        return result

    def _most(self, values: Floats, none: float) -> Floats:
        """The highest value of a word under each head, ``none`` where there is none."""
        padded = np.append(np.where(self.content, values, none), none).astype(np.float32)
        return np.asarray(_reduced(np.maximum, padded, self.words, self.ends))


def _found(units: Units, rules: Rules, stretch: Ints | None) -> Iterator[Head]:
    text = units.text
    if stretch is not None:  # a region begins a line
        cuts = units.starts[np.flatnonzero(np.diff(stretch)) + 1].tolist()
        edges = zip([0, *cuts], [*(cut - 1 for cut in cuts), len(text)], strict=True)
        text = "\n".join([text[start:end] for start, end in edges])
    if rules.keep_quote_marks:
        yield from quoted_lines(text)
    if rules.keep_list_marks:
        yield from items(text, keys=rules.keep_labels)
    if rules.keep_labels:
        yield from turns(text)


def _apart(heads: Iterator[Head]) -> list[Head]:
    """The heads in order, without those that overlap one before them."""
    apart: list[Head] = []
    for head in sorted(heads, key=lambda head: (head[0], -head[1])):
        if not apart or head[0] >= apart[-1][1]:
            apart.append(head)
    return apart


def _reduced(
    function: np.ufunc, values: npt.NDArray[Any], starts: Ints, ends: Ints
) -> npt.NDArray[Any]:
    """``function`` over the values from each of ``starts`` to its end, which is further on.

    There is one value more than there are units, so that each end is a place.
    """
    return np.asarray(function.reduceat(values, np.stack([starts, ends], axis=1).ravel())[::2])


def ranges(starts: Ints, ends: Ints) -> Ints:
    """All numbers of the ranges ``[start, end)``, one after the other."""
    sizes = ends - starts
    places = np.arange(int(sizes.sum()), dtype=np.int64)
    return np.asarray(places + np.repeat(starts - np.cumsum(sizes) + sizes, sizes))
