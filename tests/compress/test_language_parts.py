"""All parts of a text judged at once are judged as each would be by itself."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from proxy.compress import language
from proxy.compress.words import CJK, WORD, Units, split
from tests.compress.families import TEXTS

WORDS = st.sampled_from([*" ".join(TEXTS.values()).split(), *"the of and der die le la".split()])


def obvious(
    units: Units, pieces: list[int], unknown: list[bool], low: int, high: int, english: bool
) -> bool:
    words = [i for i in range(low, high) if units.kinds[i] in (WORD, CJK)]
    if not words:
        return True
    strings = units.strings
    if sum(unknown[i] for i in words) > 0.15 * len(words):
        return False
    if not english:
        return True
    if sum(language._foreign(strings[i][0]) for i in words) > 0.15 * len(words):
        return False
    plain = [i for i in words if strings[i].isalpha()]
    if len(plain) < 12:
        return True
    common = sum(strings[i].lower() in language._ENGLISH for i in plain)
    other = sum(strings[i].lower() in language._OTHERS for i in plain)
    if other >= 0.10 * len(plain) and other > common:
        return False
    return common >= 0.10 * len(plain) or sum(pieces[i] for i in plain) <= 1.75 * len(plain)


@given(words=st.lists(WORDS, max_size=120), data=st.data(), english=st.booleans())
def test_parts_are_judged_as_by_themselves(
    words: list[str], data: st.DataObject, english: bool
) -> None:
    units = split(" ".join(words))
    count = len(units)
    numbers = st.lists(st.integers(0, 3), min_size=count, max_size=count)
    pieces = data.draw(numbers)
    unknown = [number == 3 for number in data.draw(numbers)]
    cuts = [0, *sorted(data.draw(st.lists(st.integers(0, count), max_size=3))), count]
    parts = np.array(cuts[:-1], dtype=np.int64), np.array(cuts[1:], dtype=np.int64)
    found = language.readable(
        units,
        np.array(pieces, dtype=np.int64),
        np.array(unknown, dtype=np.bool_),
        ("en",) if english else (),
        parts,
    )
    each = zip(parts[0].tolist(), parts[1].tolist(), strict=True)
    assert found.tolist() == [obvious(units, pieces, unknown, *part, english) for part in each]
