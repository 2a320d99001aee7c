"""A word is worth a little of what its sentence is worth, so that facts stay or go together.

The classifier judges words; chosen one by one they leave a subject here and a number there. Drawn
towards the mean of its sentence, a word of a telling sentence stays before one of an idle sentence.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from proxy.compress.words import CJK, INTACT, LINE, WORD, Units

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_ENDS = frozenset(". ? ! … 。 ！ ？ ؟ । ?! !? ... .. !! ??".split())
_SURE = 1e-6
"""P(keep) and its complement are at least this, so that log-odds are finite."""
_SHORT = 3
"""Letters of words that are left out of the mean: most of them are there for grammar."""


def share(units: Units, scores: Floats, part: float) -> Floats:
    """P(keep), shape ``(units,)``, with ``part`` of its log-odds from the sentence; 0 stays 0.

    Sentences end with their marks, with lines, and at blocks that are left alone.
    """
    scored = scores > 0
    if not part or not scored.any():
        return scores
    sure = np.clip(scores.astype(np.float64), _SURE, 1 - _SURE)
    odds = np.log(sure / (1 - sure))
    of = _sentences(units)
    telling = scored & np.isin(units.kinds, (WORD, CJK))
    telling &= (units.ends - units.starts > _SHORT) | (units.kinds == CJK)
    count = np.bincount(of, telling)
    mean = np.bincount(of, odds * telling) / np.maximum(count, 1)
    drawn = np.where(count[of] > 0, (1 - part) * odds + part * mean[of], odds)
    return np.where(scored, 1 / (1 + np.exp(-drawn)), 0).astype(np.float32)


def _sentences(units: Units) -> Ints:
    """Which sentence each unit is in, ascending, shape ``(units,)``."""
    ends = units.each(_ENDS.__contains__, np.bool_) | np.isin(units.kinds, (LINE, INTACT))
    after = np.concatenate([[0], np.cumsum(ends)[:-1]])
    lines = np.flatnonzero(units.codes == ord("\n"))
    found: Ints = after + np.searchsorted(lines, units.starts)
    return found
