"""A negation says nothing alone: one of the words after it stays with it.

The best of the next few in its sentence does, unless one of these stays in any case. Which one
depends on scores alone and not on the rate, so that a higher rate drops nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from proxy.compress.words import CJK, WORD, Units

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

_AHEAD = 4
"""Words that are looked at: "not yet been approved", "not going to hire"."""

_SHORT = 3
"""Letters of words that are taken only where there is no longer one: "nothing against it"."""


def with_what_is_negated(units: Units, scores: Floats, forced: Bools, negations: Bools) -> Bools:
    """``forced`` with a word after each of the ``negations``; all have shape ``(units,)``."""
    last = np.flatnonzero(negations & ~np.append(negations[1:], False))
    if not len(last):
        return forced
    ahead = last[:, None] + 1 + np.arange(_AHEAD)  # (negations, words)
    within = ahead < len(units)
    ahead = np.minimum(ahead, len(units) - 1)
    within &= np.isin(units.kinds[ahead], (WORD, CJK))
    within = np.logical_and.accumulate(within, axis=1)
    telling = (units.ends - units.starts > _SHORT) & (scores > 0)
    found = np.where(within, scores[ahead] + telling[ahead], 0)
    best = ahead[np.arange(len(last)), np.argmax(found, axis=1)]
    alone = ~(within & forced[ahead]).any(axis=1) & (found.max(axis=1) > 0)
    result = forced.copy()
    result[best[alone]] = True
    return result
