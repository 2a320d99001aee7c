"""Reading plain words all at once gives the units that the pattern gives."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.compress import plain_words, words

PIECES = st.sampled_from(
    [*"word the a 5 % . , ! = != ... \" ' don't C# C++ # $ - -- / ~/ &amp; & é 中 😀 ( )".split(),
     *"x.y http://a.b/c @me 🇩🇪 € 1,000 ?! :: e.g. \\ ; ? °C".split(),
     " ", "  ", "\n", "\n\n", "\n \r\n", "\t", "\x1c", "\x85", "\xa0", "\u2028", "\u200d", "\ud800"]
)  # fmt: skip
TEXTS = st.lists(
    st.tuples(PIECES, st.sampled_from(["", " ", " ", "\n"])).map("".join), max_size=40
).map("".join)


@pytest.fixture(autouse=True)
def no_text_is_too_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_SHORT", 0)
    monkeypatch.setattr(plain_words, "_LEAST", -1.0)


def by_the_pattern(text: str, start: int, end: int, lines: bool) -> list[list[int]]:
    pattern = words._UNIT_OR_LINE if lines else words._UNIT
    return words._matches(pattern, text, start, end).tolist()


@given(TEXTS, st.booleans())
@settings(max_examples=500)
def test_units_are_those_of_the_pattern(text: str, lines: bool) -> None:
    found = words._edges(text, 0, len(text), lines=lines)
    assert found.tolist() == by_the_pattern(text, 0, len(text), lines)


@given(TEXTS, st.data())
@settings(max_examples=500)
def test_beside_blocks_too(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    found = words._edges(text, start, end, lines=True)
    assert found.tolist() == by_the_pattern(text, start, end, True)


@given(st.lists(TEXTS, min_size=2, max_size=5).map(" and so ".join), st.integers(1, 40))
def test_part_by_part_too(text: str, size: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(words, "_PART", size)
        found = words._edges(text, 0, len(text), lines=True)
    assert found.tolist() == by_the_pattern(text, 0, len(text), True)


def test_the_pattern_reads_what_is_hardly_prose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_words, "_LEAST", 0.4)
    read: list[str] = []

    def note(text: str, start: int, end: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        read.append(text[start:end])
        return words._matches(re.compile(r"\S+"), text, start, end)

    plain_words.edges("a1 b2 c3 d", 0, 10, note)
    assert read == ["a1 b2 c3 d"]
    read.clear()
    plain_words.edges("one a1 two b2 three", 0, 19, note)
    assert read == ["a1", "b2"]
