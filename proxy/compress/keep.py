"""Chooses which units stay and builds the shorter text. Knows nothing of the classifier.

The choice is a prefix of one ranking of the units, so raising the rate never drops a unit that was
kept before. The length of the prefix is found with the upstream's token counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from proxy.compress.heads import Heads, ranges
from proxy.compress.words import CJK, INTACT, LINE, PUNCTUATION, WORD, Units
from proxy.reading import Reading
from proxy.spans import Spans
from proxy.tokens import Encoding
from proxy.types import Span

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

Finish = Callable[[Bools], Bools]
"""Turns the mask of the units that fit into the mask of those that are sent."""

_EXACT_BELOW = 256
"""Units up to which every candidate is counted with the tokenizer instead of estimated."""

_LONG, _BLOCK = 2_048, 128
"""Units over which the estimate is checked on every fourth block of so many units."""

_FEW = 1_024
_SHARES, _SHARES_OF_FEW = (1 / 8, 1 / 2), (1 / 16, 1 / 4, 1 / 2, 3 / 4)
"""Lengths at which the estimate is checked; among few units what it misses varies more."""

_MOST_MISSED = 0.05
"""Share by which the estimate may be wrong before it is not trusted even when corrected."""


def rank(units: Units, scores: Floats, forced: Bools, heads: Heads | None = None) -> Ints:
    """Indices of all units, the most worth keeping first: forced, then by score, then in order.

    Punctuation that leans on a word comes after that word, so that no mark is left alone.
    """
    worth, leaning = lean(units, scores, forced, heads)
    return np.lexsort((np.arange(len(units)), leaning, -worth))


def lean(
    units: Units, scores: Floats, forced: Bools, heads: Heads | None = None
) -> tuple[Floats, Bools]:
    """What each unit is worth, and which units are marks that lean on a word.

    A mark is worth no more than its word, a forced unit more than all others, one of the ``heads``
    as much as the best word under it.
    """
    worth: Floats = np.where(forced, np.float32(np.inf), scores)
    parent = _leans_on(units)
    leaning = (parent >= 0) & ~forced
    worth[leaning] = np.minimum(worth[leaning], worth[parent[leaning]])
    if heads is None:
        return worth, leaning
    worth = np.where(forced, worth, heads.worth(worth))
    return worth, leaning & ~heads.inside


def _leans_on(units: Units) -> Ints:
    """For each punctuation unit the word or character that it is glued to, -1 for all others."""
    count = len(units)
    index = np.arange(count)
    word = (units.kinds == WORD) | (units.kinds == CJK) | (units.kinds == INTACT)
    # The nearest word before and after, as long as everything between is glued together.
    group = np.cumsum(~units.glued)
    before = np.maximum.accumulate(np.where(word, index, -1)) if count else index
    after = np.minimum.accumulate(np.where(word, index, count)[::-1])[::-1] if count else index
    has_before = (before >= 0) & (group[before] == group)
    last = np.minimum(after, count - 1)
    has_after = (after < count) & (group[last] == group)
    parent = np.where(has_before, before, np.where(has_after, last, -1))
    parent = np.where(units.opening & has_after, last, parent)
    parent[units.kinds != PUNCTUATION] = -1
    return parent


@dataclass(frozen=True)
class Budget:
    """Token costs of the units in the upstream's encoding, to aim at a number of tokens."""

    units: Units
    encoding: Encoding
    reading: Reading
    in_place: Ints
    """Tokens of each unit, with the white space before it, where its neighbours are kept."""
    after_gap: Ints
    """Tokens of each unit after a gap."""
    text: str
    """The text that is sent where everything is kept, without lone surrogates."""
    tokens: int
    """Tokens of ``text``."""

    @classmethod
    def of(
        cls,
        units: Units,
        encoding: Encoding,
        reading: Reading,
        token_ids: npt.NDArray[np.uint32] | None = None,
    ) -> Budget:
        """``reading`` is of the text that the units were split from.

        ``token_ids``: the tokens of what is sent, if they are known.
        """
        clean = without_surrogates(reading.sent)
        at = reading.offsets
        if token_ids is None or clean != reading.sent:
            token_ids = encoding.ids(clean)
        in_place = _costs(encoding.token_ends(token_ids), clean, at[units.ends])
        after_gap = _after_gaps(encoding, units, clean, at, in_place)
        return cls(units, encoding, reading, in_place, after_gap, clean, len(token_ids))

    def part(self, index: slice) -> Budget:
        """The budget of some of the units in a row."""
        if index == slice(0, len(self.units)):
            return self
        units = self.units.part(index)
        in_place, after_gap = self.in_place[index], self.after_gap[index]
        return replace(self, units=units, in_place=in_place, after_gap=after_gap)

    def tokens_of(self, chosen: Bools) -> int:
        """Tokens of the chosen units where they stand in the text."""
        return int(self.in_place[chosen].sum())

    def alone(self) -> Ints:
        """Tokens of each unit counted by itself, as llmlingua weighs words, shape ``(units,)``."""
        return self.units.each(self.encoding.count, np.int64)

    def estimate(self, kept: Bools) -> int:
        """Tokens of the text that ``kept`` gives, but for merges across the seams."""
        follows = np.zeros(len(kept), dtype=np.bool_)
        follows[1:] = kept[:-1]
        follows[:1] = True
        return int(np.where(follows, self.in_place, self.after_gap)[kept].sum())

    def count(self, kept: Bools) -> int:
        """Tokens of the text that ``kept`` gives, counted."""
        spans = self.reading.spans(spans_of(self.units, kept))
        return self.encoding.count(self.reading.written(spans))


def choose(
    order: Ints,
    always: int,
    target: int,
    budget: Budget,
    final: Finish,
    solid: Bools | None = None,
) -> Bools:
    """The longest prefix of ``order`` whose text has at most ``target`` tokens, as a mask.

    ``order`` may lack some of the units: these are in no prefix. The first ``always`` of the order
    stay in any case, and at least one unit that is ``solid``, or else no line end. ``final`` turns
    a prefix into the mask that will be sent (see ``Repeats``). Monotone in ``target``: the search
    walks one fixed tree, and whether it turns right at a node can only change from no to yes as
    the target grows.
    """
    count = len(order)
    enough = budget.units.kinds[order] != LINE
    if solid is not None and solid[order].any():
        enough = solid[order]
    least = 1 + int(np.argmax(enough))
    position = np.full(len(budget.units), count, dtype=np.int64)
    position[order] = np.arange(count)

    def mask(length: int) -> Bools:
        return final(position < length)

    low, high = max(always, least), count  # the answer lies in [low, high]
    if low >= high:
        return mask(low)
    measure = _measure(budget, mask, count)
    while low < high:
        middle = (low + high + 1) // 2
        if measure(middle) <= target:
            low = middle
        else:
            high = middle - 1
    return mask(low)


def _measure(budget: Budget, mask: Callable[[int], Bools], count: int) -> Callable[[int], float]:
    """Tokens of a prefix as a function of its length: counted, or estimated for long texts.

    The estimate is corrected by what it misses at fixed lengths. They don't depend on the target,
    so the search stays monotone.
    """
    if count <= _EXACT_BELOW:
        return lambda length: budget.count(mask(length))
    shares = _SHARES if count > _FEW else _SHARES_OF_FEW
    lengths = [int(share * count) for share in shares]
    # Where few of many units are to choose from, blocks might have none of them.
    sample = _sample(len(budget.units)) if count > _LONG else np.ones(len(budget.units), np.bool_)
    masks = [mask(length) & sample for length in lengths]
    missed = [max(budget.count(kept), 1) / max(budget.estimate(kept), 1) for kept in masks]
    if max(missed) > 1 + _MOST_MISSED or min(missed) < 1 - _MOST_MISSED:
        return lambda length: budget.count(mask(length))
    return lambda length: budget.estimate(mask(length)) * np.interp(length, lengths, missed)


def _sample(count: int) -> Bools:
    """Units of a long text that tell enough of what the estimate misses, shape ``(units,)``."""
    blocks = np.arange(count) // _BLOCK
    return np.asarray(blocks % 4 == 0)


def percentile(scores: Floats, costs: Ints, rate: float) -> Bools:
    """The package's choice within one window: above the percentile of ``1 - rate``, by tokens.

    As in llmlingua 0.2.2: every unit stands there once per token that it costs, and the
    percentile is rounded up to a whole one.
    """
    if not len(scores):
        return np.zeros(0, dtype=np.bool_)
    threshold = np.percentile(np.repeat(scores, costs), int(100 * (1 - rate) + 1))
    return scores > threshold


def with_heads(heads: Heads, first: Ints, forced: Bools, where: slice, final: Finish) -> Finish:
    """``final`` after heads are taken out of which the ``first`` word is not there yet.

    The masks are of the units in the stretch ``where``; heads that are ``forced`` stay.
    """
    low, high = np.searchsorted(heads.starts, (where.start, where.stop))
    starts, words, first = heads.starts[low:high], heads.words[low:high], first[low:high]
    free = ~forced[starts]
    if not free.any():
        return final
    starts, words, first = starts[free], words[free], first[free]
    units = ranges(starts, words) - where.start
    word = np.repeat(first, words - starts) - where.start

    def finish(kept: Bools) -> Bools:
        result = kept.copy()
        result[units] &= kept[word]
        return final(result)

    return finish


def join(units: Units, kept: Bools) -> str:
    """The text of the units ``kept``, as they are written out."""
    return spans_of(units, kept).cut(units.text)


def spans_of(units: Units, kept: Bools) -> Spans:
    """The spans of the text to keep, so that their concatenation holds the units ``kept``.

    Kept neighbours keep what stood between them. A gap becomes one space where the input had white
    space there, nothing between CJK characters, before closing and after opening marks. White
    space at the ends is left out.
    """
    index = np.flatnonzero(kept)
    if not len(index):
        return Spans.of(())
    breaks = np.flatnonzero(np.diff(index) > 1)
    first = np.concatenate([index[:1], index[breaks + 1]])
    last = np.concatenate([index[breaks], index[-1:]])
    spans = np.empty((2 * len(first) - 1, 2), dtype=np.int64)
    spans[::2, 0], spans[::2, 1] = units.starts[first], units.ends[last]
    spans[1::2] = _bridges(units, last[:-1], first[1:])
    return _merge(spans)


def _bridges(units: Units, left: Ints, right: Ints) -> Ints:
    """What stays of the gaps between the given units, as spans of one character or none."""
    low, high = units.ends[left], units.starts[right]
    space, white = units.space_after[left], units.white_after[left]
    at = np.where(space < high, space, np.where(white < high, white, -1))
    kinds_left, kinds_right = units.kinds[left], units.kinds[right]
    # "foo—bar—baz" without bar: a mark has to keep the words apart.
    words = (kinds_left == WORD) & (kinds_right == WORD)
    at = np.where((at < 0) & words, low, at)
    bare = (kinds_left == LINE) | (kinds_right == LINE)
    bare |= (kinds_left == CJK) & (kinds_right == CJK)
    bare |= units.opening[left] | units.closing[right]
    start = np.where(bare | (at < 0), high, at)
    spans = np.stack([start, np.where(start < high, start + 1, high)], axis=1)
    for index in np.flatnonzero((kinds_left == INTACT) | (kinds_right == INTACT)).tolist():
        sides = kinds_left[index] == INTACT, kinds_right[index] == INTACT
        at_block = _beside_block(units.text, int(low[index]), int(high[index]), sides)
        # A line end that is kept is enough: what is left is what indents the block.
        if kinds_right[index] == LINE:
            at_block = at_block[1], at_block[1]
        elif kinds_left[index] == LINE:
            at_block = max(at_block[0], units.text.rfind("\n", *at_block) + 1), at_block[1]
        spans[index] = at_block
    return spans


def _beside_block(text: str, start: int, end: int, sides: tuple[bool, bool]) -> Span:
    # The block keeps the white space that stood next to it, say the empty line before it. Between
    # two blocks one of them does: a line that ends a block of code must go on ending there.
    left, right = sides
    gap = text[start:end]
    after, before = end - len(gap.lstrip()), start + len(gap.rstrip())
    if right and not (left and "\n" in text[start:after] and "\n" not in text[before:end]):
        return before, end
    return start, after


def _merge(spans: Ints) -> Spans:
    """The spans without empty ones, those that touch made one."""
    filled = spans[spans[:, 0] < spans[:, 1]]
    apart = np.flatnonzero(filled[1:, 0] > filled[:-1, 1]) + 1
    edges = np.empty((len(apart) + 1, 2), dtype=np.uint32)
    edges[0, 0], edges[1:, 0] = filled[0, 0], filled[apart, 0]
    edges[:-1, 1], edges[-1, 1] = filled[apart - 1, 1], filled[-1, 1]
    return Spans(edges.ravel())


def _after_gaps(encoding: Encoding, units: Units, clean: str, at: Ints, in_place: Ints) -> Ints:
    """Tokens of each unit where the one before it is not kept, shape ``(units,)``.

    A bridge is a space or nothing, and that is what most units have before them in place too. The
    others are counted after a space, which costs a mark or an ideograph no more than nothing does.
    """
    starts, ends = at[units.starts], at[units.ends]
    close = units.closing | np.isin(units.kinds, (LINE, CJK))
    bare = close | np.roll(units.opening | (units.kinds == LINE), 1)
    gap = np.diff(ends, prepend=0) - (ends - starts)
    spaced = (gap == 1) & (_codes(clean)[starts - 1] == ord(" "))
    same = np.where(bare, gap == 0, spaced)
    same[:1] = False
    others = np.flatnonzero(~same)
    pairs = zip(starts[others].tolist(), ends[others].tolist(), strict=True)
    pieces = [f" {clean[start:end]}" for start, end in pairs]
    lengths = np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces))
    costs = in_place.copy()
    text = "".join(pieces)
    costs[others] = _costs(encoding.token_ends(encoding.ids(text)), text, np.cumsum(lengths))
    return costs


def _codes(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)


_SURROGATE = re.compile("[\ud800-\udfff]")


def without_surrogates(text: str) -> str:
    """The text with lone surrogates replaced, character for character."""
    return _SURROGATE.sub("\ufffd", text)


def _costs(token_ends: Ints, text: str, ends: Ints) -> Ints:
    """Tokens that end within each unit, shape ``(units,)``, for units that end at ``ends``."""
    if not text.isascii():
        codes = _codes(text)
        sizes = 1 + (codes >= 0x80) + (codes >= 0x800) + (codes >= 0x10000)
        ends = np.concatenate([[0], np.cumsum(sizes)])[ends]
    closed = np.searchsorted(token_ends, ends, side="right")
    return np.diff(closed, prepend=0).astype(np.int64)
