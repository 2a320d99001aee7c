"""Tells whether the classifier can read a text: script, unknown tokens, language.

A heuristic: tokens that the vocabulary lacks, letters of another script, words that fall into many
pieces, the commonest words of English and of its neighbours. It errs on the side of leaving text
alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from proxy.compress.words import CJK, WORD, Units

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# The commonest English words that are not also common in its neighbours (so no "in", "die", "was").
_ENGLISH = frozenset(
    "the of and to is that it for with as are be this by from or which have not you were they his "
    "her has had their been would will there what when who can our we your them these its into "
    "than then some could if more about but so one all just know".split()
)
# And of languages in the same script whose words the pieces happen to fit: Romance ones above all.
_OTHERS = frozenset(
    "der das und ist nicht mit dem ein eine für auf von zu im le la les des et une dans pour que "
    "est du qui se el los las y en del por una para il di che è non gli della een het van niet och "
    "att det som på med inte de da dos um uma não ao é si lo au aux ne pas sur".split()
)
_MIN_WORDS = 12
_MAX_UNKNOWN = 0.15
_MAX_PIECES = 1.75
"""Tokens a word: English prose has 1.1 to 1.4, German or French in English pieces over 2."""
_MIN_COMMON = 0.10


def readable(units: Units, pieces: Ints, unknown: Bools, languages: tuple[str, ...]) -> bool:
    """Whether the classifier can read these units.

    ``pieces``, shape ``(units,)``: tokens of each; ``unknown``: whether one of them is unknown.
    A checkpoint that names no languages is taken to read whatever its vocabulary holds.
    """
    kinds = units.kinds
    words = np.flatnonzero((kinds == WORD) | (kinds == CJK))
    if not len(words):
        return True
    if float(unknown[words].mean()) > _MAX_UNKNOWN:
        return False
    if languages != ("en",):
        return True
    strings = units.strings
    foreign = sum(_foreign(strings[index][0]) for index in words.tolist())
    if foreign / len(words) > _MAX_UNKNOWN:
        return False
    plain = [index for index in words.tolist() if strings[index].isalpha()]
    if len(plain) < _MIN_WORDS:
        return True
    lower = [strings[index].lower() for index in plain]
    common = sum(word in _ENGLISH for word in lower) / len(plain)
    other = sum(word in _OTHERS for word in lower) / len(plain)
    if other >= _MIN_COMMON and other > common:
        return False
    return common >= _MIN_COMMON or float(pieces[plain].mean()) <= _MAX_PIECES


def _foreign(letter: str) -> bool:
    """Whether it is a letter of another script than Latin."""
    return letter > "\u024f" and letter.isalpha() and not "\u1e00" <= letter <= "\u1eff"
