"""The context-level filter: whole documents or paragraphs go before words do.

As in LLMLingua-2 a context is worth the mean score of its words, and the best share stays. Unlike
there, the total kept is what was asked for: contexts beyond that share are added again, the best
first, while all that is left of the others is too little (llmlingua 0.2.2 keeps
``rate * (1 + rate) / 2`` of the tokens).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from proxy.compress.keep import Finish
from proxy.compress.words import CJK, WORD, Units
from proxy.reading import Reading
from proxy.types import Context, Rules

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Filter:
    """In which order the contexts of a text are taken."""

    of: Ints
    """Index of each unit's context, ``contexts`` for what is in none, shape ``(units,)``."""
    turn: Ints
    """When each unit's turn comes, shape ``(units,)``: 0 at once, then context by context."""
    best: Bools
    """The best word of each context that stays whatever it is worth, shape ``(units,)``."""

    @classmethod
    def among(
        cls, units: Units, of: Ints, contexts: Sequence[Context], scores: Floats, rules: Rules
    ) -> Filter:
        """``of`` is each unit's context, ``scores`` its score.

        A context without a scored word stays.
        """
        count = len(contexts)
        if not count:
            none = np.zeros(len(units), dtype=np.int64)
            return cls(of, none, none > 0)
        words = (scores > 0) & ((units.kinds == WORD) | (units.kinds == CJK))
        sizes = np.bincount(of[words], minlength=count + 1)[:count]
        sums = np.bincount(of[words], scores[words].astype(np.float64), minlength=count + 1)[:count]
        stays = np.array([context.stays for context in contexts], dtype=np.bool_) | (sizes == 0)
        worth = np.where(stays, np.inf, sums / np.maximum(sizes, 1))
        order = np.lexsort((np.arange(count), -worth))
        at_once = max(_share(rules, count), int(stays.sum()))
        turn = np.zeros(count + 1, dtype=np.int64)
        turn[order[at_once:]] = 1 + np.arange(count - min(at_once, count))
        best = np.zeros(len(units), dtype=np.bool_)
        for index, context in enumerate(contexts):
            own = np.flatnonzero(words & (of == index)) if context.stays else ()
            if len(own):
                best[own[int(np.argmax(scores[own]))]] = True
        return cls(of, turn[of], best)

    @property
    def at_once(self) -> Bools:
        """Units whose contexts stay in any case, and those in no context, shape ``(units,)``."""
        return np.asarray(self.turn == 0)

    def rank(self, order: Ints) -> Ints:
        """``order`` with the units of later contexts after those of earlier ones."""
        return order[np.argsort(self.turn[order], kind="stable")] if self.turn.any() else order

    def whole(self, forced: Bools, final: Finish) -> Finish:
        """``final`` after later contexts are taken out of which a forced unit does not fit.

        Of such a context all forced units and at least one other are there, or nothing is.
        """
        late = self.turn > 0
        if not late.any():
            return final
        size = int(self.turn.max(initial=0)) + 1
        needed = np.bincount(self.turn[late & forced], minlength=size)
        others = np.bincount(self.turn[late & ~forced], minlength=size) > 0

        def finish(kept: Bools) -> Bools:
            there = np.bincount(self.turn[late & forced & kept], minlength=size)
            some = np.bincount(self.turn[late & ~forced & kept], minlength=size) > 0
            good = (there == needed) & (some | ~others)
            good[0] = True
            return final(kept & good[self.turn])

        return finish


def places(units: Units, reading: Reading, contexts: Sequence[Context]) -> Ints:
    """Index of the context that each unit starts in, shape ``(units,)``; past the last for none."""
    of = np.full(len(units), len(contexts))
    for index, context in enumerate(contexts):
        for start, end in reading.places([(context.start, context.end)]):
            low, high = np.searchsorted(units.starts, (start, end))
            of[low:high] = index
    return of


def _share(rules: Rules, count: int) -> int:
    """How many of the contexts stay: at least one of some."""
    share = count if rules.context_rate is None else math.ceil(rules.context_rate * count)
    return max(min(share, rules.target_context or count), min(count, 1))
