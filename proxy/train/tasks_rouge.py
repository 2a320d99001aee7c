"""ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004) as F1 of one text against one reference.

Words are runs of letters and digits in lower case, without stemming, as in ``rouge-score``'s
default; of Chinese and Japanese each character counts as a word, as there is nothing to cut at.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(f"[{_CJK}]|[^\\W_{_CJK}]+")


def words(text: str) -> list[str]:
    """The words that are compared, in lower case."""
    return _WORD.findall(text.lower())


def f1(same: int, predicted: int, wanted: int) -> float:
    """Harmonic mean of ``same / predicted`` and ``same / wanted``; 0 where nothing is the same."""
    return 2 * same / (predicted + wanted) if same else 0.0


def rouge_n(prediction: str, reference: str, n: int) -> float:
    """F1 of the runs of ``n`` words, each counted as often as both sides have it."""
    one, other = _runs(words(prediction), n), _runs(words(reference), n)
    return f1((one & other).total(), one.total(), other.total())


def rouge_l(prediction: str, reference: str) -> float:
    """F1 of the longest common subsequence of words."""
    one, other = words(prediction), words(reference)
    return f1(longest_common(one, other), len(one), len(other))


def longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence, a row of the table at a time in one integer.

    A zero bit stands where the row grows by one (Hyyrö 2004, "Bit-parallel LCS-length
    computation revisited"), which makes a long summary's score a matter of a millisecond.
    """
    places: dict[str, int] = {}
    for at, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << at
    full = (1 << len(one)) - 1
    row = full
    for word in other:
        hits = row & places.get(word, 0)
        row = (row + hits | row - hits) & full
    return len(one) - row.bit_count()


def _runs(found: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(found[at : at + n]) for at in range(len(found) - n + 1))
