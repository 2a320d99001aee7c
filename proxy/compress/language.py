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


def readable(
    units: Units,
    pieces: Ints,
    unknown: Bools,
    languages: tuple[str, ...],
    parts: tuple[Ints, Ints],
) -> Bools:
    """Whether the classifier can read each of some parts of a text, shape ``(parts,)``.

    ``pieces``, shape ``(units,)``: tokens of each; ``unknown``: whether one of them is unknown;
    ``parts``: each one's first unit, and the one after its last. A checkpoint that names no
    languages is taken to read whatever its vocabulary holds.
    """

    def among(which: Bools, worth: Ints | Bools | int = 1) -> Ints:
        sums = np.concatenate([[0], np.cumsum(which * worth)])
        return np.asarray(sums[parts[1]] - sums[parts[0]])

    words = (units.kinds == WORD) | (units.kinds == CJK)
    count = among(words)
    most = _MAX_UNKNOWN * count
    known = among(words, unknown) <= most
    if languages != ("en",):
        return np.asarray(known)
    known &= among(words, units.each(lambda string: _foreign(string[0]), np.bool_)) <= most
    plain = words & units.each(str.isalpha, np.bool_)
    common = among(plain, units.each(lambda string: string.lower() in _ENGLISH, np.bool_))
    other = among(plain, units.each(lambda string: string.lower() in _OTHERS, np.bool_))
    size = among(plain)
    enough = _MIN_COMMON * size
    neighbour = (other >= enough) & (other > common)
    english = (common >= enough) | (among(plain, pieces) <= _MAX_PIECES * size)
    return np.asarray(known & ((size < _MIN_WORDS) | (english & ~neighbour)))


def _foreign(letter: str) -> bool:
    """Whether it is a letter of another script than Latin."""
    return letter > "\u024f" and letter.isalpha() and not "\u1e00" <= letter <= "\u1eff"
