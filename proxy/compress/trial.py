"""A fixed text to compare two ways of running one classifier on, and how well they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from proxy.compress.scorer import Floats, Ints
from proxy.compress.tokenize import Tokenizer

_TEXT = """
Ines: Good morning. Before we start, has everybody seen the report on the flood in the archive? The
loss comes to $47,300 before insurance, and the insurer will not pay unless we can show that the
alarm was tested in March. Tom: It was, but nobody wrote it down. I'd rather not guess; let me ask
the caretaker, who keeps a list of every visit since 2019. In short, photosynthesis turns light,
water and carbon dioxide into sugar, and the oxygen that we breathe is what is left over.
Der Vorstand hat den Haushalt nach langer Debatte ohne Gegenstimme beschlossen, obwohl 3,5 % fehlen.
Le train de nuit part à 22 h 15 ; il ne s'arrête pas à Dijon, mais on peut changer à Lyon.
Вчера вечером музей закрыли раньше, потому что в трёх залах погас свет.
会议决定推迟到星期五，因为报告还没有写完。 اجتمع المجلس أمس ولم يتخذ أي قرار بشأن الميزانية.
समिति ने कल बैठक की, लेकिन बजट पर कोई निर्णय नहीं हुआ। 😀
def total(rows): return sum(r["price"] for r in rows)
"""
_GOOD_CORRELATION = 0.99
_GOOD_SHARE = 0.95


@dataclass(frozen=True)
class Agreement:
    """How near the P(keep) of one engine are to another's, over all tokens of the windows."""

    correlation: float
    largest_difference: float
    same_at_half: float
    """Share of tokens on the same side of their window's median: kept by both at rate 0.5."""

    @property
    def good(self) -> bool:
        """Whether one may stand in for the other unasked. False if either gave no number."""
        return self.correlation >= _GOOD_CORRELATION and self.same_at_half >= _GOOD_SHARE


def windows(tokenizer: Tokenizer, limit: int) -> list[Ints]:
    """Windows of one token, some tokens, and ``limit`` tokens, special tokens included."""
    ids = tokenizer.encode(_TEXT, [(0, len(_TEXT))]).ids
    room = limit - tokenizer.specials
    sizes = sorted({1, min(48, room), room})
    return [tokenizer.around(np.resize(ids, size)) for size in sizes]


def compare(wanted: Sequence[Floats], got: Sequence[Floats]) -> Agreement:
    """Compares the scores of the same windows, each of shape ``(tokens,)``."""
    one, other = np.concatenate(wanted), np.concatenate(got)
    same = [(a >= np.median(a)) == (b >= np.median(b)) for a, b in zip(wanted, got, strict=True)]
    varied = bool(one.std() > 0 and other.std() > 0)
    return Agreement(
        float(np.corrcoef(one, other)[0, 1]) if varied else float((one == other).all()),
        float(np.abs(one - other).max()),
        float(np.concatenate(same).mean()),
    )
