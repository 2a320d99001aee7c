"""When two words are the same word: equal up to case, and up to an English inflection.

The stripping is Porter's of plurals, "-ed" and "-ing" (An algorithm for suffix stripping, 1980,
steps 1a, 1b and 5a) and nothing more: inflections change no meaning, derivations do. Words of
other alphabets are compared without regard to case only.
"""

from __future__ import annotations

import functools
import re
import unicodedata

_IRREGULAR = {
    form: forms[0]
    for forms in (
        line.split()
        for line in """
        be am is are was were been being
        have has had having
        do does did done doing
        go goes went gone
        say said saying
        make made
        take took taken
        come came
        see saw seen
        get got gotten
        give gave given
        know knew known
        think thought
        find found
        tell told
        become became
        leave left
        feel felt
        bring brought
        begin began begun
        keep kept
        hold held
        write wrote written
        stand stood
        hear heard
        mean meant
        meet met
        run ran
        pay paid
        speak spoke spoken
        lead led
        grow grew grown
        lose lost
        fall fell fallen
        send sent
        build built
        understand understood
        draw drew drawn
        break broke broken
        spend spent
        rise rose risen
        drive drove driven
        buy bought
        choose chose chosen
        use used using
        man men
        woman women
        child children
        person people
        foot feet
        """.strip().splitlines()
    )
    for form in forms
}
_VOWEL = "aeiouy"
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3})")


@functools.lru_cache(maxsize=1 << 16)
def key(word: str) -> str:
    """Equal for words that are the same one: ``Running`` and ``run``, ``10,000`` and ``10000``."""
    plain = unicodedata.normalize("NFKC", word).casefold().replace("’", "'")
    if plain in _IRREGULAR:
        return _IRREGULAR[plain]
    if plain.isascii() and plain.replace("'", "").isalpha():
        return _stem(plain.removesuffix("'s").removesuffix("s'") or plain)
    return _THOUSANDS.sub("", plain)


def _stem(word: str) -> str:
    if len(word) < 4:
        return word
    word = _without_plural(word)
    word = _IRREGULAR.get(word, word)
    return _without_e(_without_tense(word))


def _without_plural(word: str) -> str:
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith("ies"):
        return word[:-3] + "y" if len(word) > 4 else word[:-1]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _without_tense(word: str) -> str:
    if word.endswith("ied"):
        return word[:-3] + "y" if len(word) > 4 else word[:-1]
    if word.endswith("eed"):
        return word[:-1] if any(letter in _VOWEL for letter in word[:-3]) else word
    for ending in ("ed", "ing"):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) > 2 and any(letter in _VOWEL for letter in stem):
            return _restored(stem)
    return word


def _restored(stem: str) -> str:
    """The word that "-ed" or "-ing" was put to: ``hop`` of ``hopp``, ``hope`` of ``hop``."""
    if stem.endswith(("at", "bl", "iz")):
        return stem + "e"
    if stem[-1] == stem[-2] and stem[-1] not in _VOWEL + "lsz":
        return stem[:-1]
    return stem + "e" if _is_short(stem) else stem


def _without_e(word: str) -> str:
    stem = word.removesuffix("e")
    return word if len(stem) < 3 or _is_short(stem) else stem


def _is_short(stem: str) -> bool:
    """One vowel between consonants, the last of them not w, x or y: ``hop``, ``plan``, ``mak``."""
    shape = "".join("v" if letter in _VOWEL else "c" for letter in stem)
    return bool(re.fullmatch("c*vc", shape)) and stem[-1] not in "wxy"
