from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.compress.windows import cut
from proxy.compress.words import Units, split

SENTENCES = st.lists(
    st.lists(st.sampled_from("alpha beta gamma delta eps zeta".split()), min_size=1, max_size=12),
    min_size=1,
    max_size=60,
).map(lambda lists: [" ".join(words) + "." for words in lists])


def windows_of(text: str, limit: int = 32) -> list[str]:
    """Window texts when every unit is one token."""
    units = split(text)
    cuts = cut(units, np.arange(len(units) + 1), limit, (".", "\n"))
    return [text[units.starts[w.start] : units.ends[w.end - 1]] for w in cuts]


@given(SENTENCES, st.integers(4, 64))
def test_windows_cover_all_tokens_and_keep_to_the_limit(sentences: list[str], limit: int) -> None:
    units = split(" ".join(sentences))
    cuts = cut(units, np.arange(len(units) + 1), limit, (".",))
    assert [cuts[0].start, cuts[-1].end] == [0, len(units)]
    assert all(a.end == b.start for a, b in pairwise(cuts))
    assert all(0 < w.end - w.start <= limit for w in cuts)


def test_windows_end_at_sentence_ends() -> None:
    text = " ".join("one two three four five six." for _ in range(40))
    assert all(window.endswith(".") for window in windows_of(text))


def test_an_empty_line_is_a_better_end_than_a_full_stop() -> None:
    text = "a b c d e f g h.\n\nNew part: " + "i. j. k. l. m. n. " * 20
    assert windows_of(text, 16)[0] == "a b c d e f g h."


@given(SENTENCES, SENTENCES)
@settings(max_examples=60)
def test_a_text_that_grows_keeps_its_windows_but_the_last(old: list[str], new: list[str]) -> None:
    before, after = windows_of(" ".join(old)), windows_of(" ".join(old + new))
    assert before[:-1] == after[: len(before) - 1]


def test_a_change_in_one_place_moves_only_windows_near_it() -> None:
    rng = np.random.default_rng(0)
    names = [f"w{n}" for n in range(500)]
    sentences = [" ".join(rng.choice(names, rng.integers(3, 12))) + "." for _ in range(400)]
    before = windows_of(" ".join(sentences))
    after = windows_of(" ".join([*sentences[:100], "Something new.", *sentences[101:]]))
    assert len(set(before) - set(after)) <= 0.1 * len(before)


def test_a_unit_longer_than_a_window_is_cut() -> None:
    units = Units("x" * 9, *(np.array([v]) for v in (0, 9)), np.array([False]))
    cuts = cut(units, np.array([0, 100]), 32, ())
    assert [(w.start, w.end) for w in cuts] == [(0, 32), (32, 64), (64, 96), (96, 100)]
