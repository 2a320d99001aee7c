"""Variants: other words of the same look, and nothing else."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ConfigError
from proxy.train import variants
from proxy.train.variants import Vocabulary, several, vary
from proxy.train.words import is_content, words_of
from tests.compress.readers import reader

TEXT = "The mayor of LYON didn't sign 12 papers on 4 May 1987, she said; Ms. O'Hara did. " * 6
WORDS = Vocabulary(["lamp", "river", "the", "of", "##ing", "##s", "Ä", "x1", "[CLS]", "stone"])


def row(text: str = TEXT) -> dict[str, object]:
    words = [list(span) for span in words_of(text)]
    return {"text": text, "words": words, "labels": [0.5] * len(words), "doc": "a", "source": "s"}


def strings(found: dict[str, object]) -> list[str]:
    return [found["text"][s:e] for s, e in found["words"]]  # type: ignore[index, attr-defined]


def test_only_words_of_letters_are_drawn_and_no_stop_words() -> None:
    assert WORDS.words == ["lamp", "river", "stone"]
    assert WORDS.endings == ["ing"]


@pytest.mark.parametrize("mark", ["Ġ", "▁"])
def test_where_words_are_marked_the_rest_are_pieces_of_them(mark: str) -> None:
    assert Vocabulary([f"{mark}house", "house", "ing", f"{mark}stone"]).words == ["house", "stone"]


def test_a_vocabulary_without_words_is_refused() -> None:
    with pytest.raises(ConfigError, match="no words"):
        Vocabulary(["the", "##ing", "1"])


def test_a_tokenizers_own_words() -> None:
    found = Vocabulary.of(reader().tokenizer)
    assert "compress" in found.words
    assert not set(found.words) & {"the", "[CLS]"}


@given(st.integers(0, 10_000))
def test_what_is_no_content_stays_and_looks_are_kept(seed: int) -> None:
    given_row, dice = row(), random.Random(seed)
    found = vary(given_row, WORDS, dice)
    before, after = strings(given_row), strings(found)
    assert len(found["labels"]) == len(after) == len(before)
    lowered = found["text"].islower()
    for old, new in zip(before, after, strict=True):
        if not is_content(old):
            assert new == (old.lower() if lowered else old)
        elif old.isdigit():
            assert new.isdigit() and len(new) == len(old)
        elif not lowered:
            assert new[0].isupper() == old[0].isupper()
            assert new.isupper() == old.isupper()


def test_some_words_change_and_some_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variants, "LOWERED", 0.0)
    shares = []
    for seed in range(50):
        pairs = zip(strings(row()), strings(vary(row(), WORDS, random.Random(seed))), strict=True)
        content = [old != new for old, new in pairs if is_content(old)]
        shares.append(sum(content) / len(content))
    assert min(shares) > 0.05 and max(shares) < 0.65
    assert 0.2 < sum(shares) / len(shares) < 0.4


def test_each_row_comes_first_and_the_same_again() -> None:
    rows = [row(), row("Two lamps stood in the river.")]
    found = list(several(rows, WORDS, 3))
    assert found[0] == rows[0] and found[4] == rows[1] and len(found) == 8
    assert found == list(several(rows, WORDS, 3))
    assert Counter(one["doc"] for one in found) == {"a": 8}  # so none strays over the split
