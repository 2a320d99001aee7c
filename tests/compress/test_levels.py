"""Scores as bytes: what is unpacked is near what was packed, and in the same order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.compress import levels

SCORES = st.lists(st.floats(0, 1, width=32), max_size=250)


def through(scores: list[float]) -> tuple[levels.Floats, levels.Floats]:
    given = np.array(scores, dtype=np.float32)
    packed = levels.pack(given, np.ones(len(given), dtype=np.bool_))
    assert len(packed) == levels.size(len(given))
    return given, levels.unpack(packed)


@given(SCORES)
def test_the_order_stays(scores: list[float]) -> None:
    given, back = through(scores)
    order = np.argsort(given, kind="stable")
    assert (np.diff(back[order]) >= 0).all()


@given(st.lists(st.integers(1, 999), min_size=2, max_size=250, unique=True))
def test_different_scores_stay_different(scores: list[int]) -> None:
    _, back = through([score / 1000 for score in scores])
    assert len(set(back.tolist())) == len(scores)


@given(st.integers(0, 99), st.integers(50, 800))
def test_scores_come_back_nearly_as_they_were(seed: int, words: int) -> None:
    odds = np.random.default_rng(seed).normal(-0.8, 1.7, words)
    given, back = through((1 / (1 + np.exp(-odds))).tolist())
    assert np.abs(given - back).mean() < 0.03
    assert np.abs(given - back).max() < 0.2


@given(SCORES, st.data())
def test_words_without_tokens_have_score_zero(scores: list[float], data: st.DataObject) -> None:
    count = len(scores)
    scored = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)), np.bool_)
    back = levels.unpack(levels.pack(np.array(scores, dtype=np.float32), scored))
    assert (back[~scored] == 0).all() and (back[scored] > 0).all()


@pytest.mark.parametrize("score", [0.0, 0.3, 1.0])
def test_equal_scores_stay_equal(score: float) -> None:
    given, back = through([score] * 5)
    assert len(set(back.tolist())) == 1
    assert back[0] == pytest.approx(given[0], abs=1e-5)


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="no number"):
        levels.pack(np.array([0.5, np.nan], dtype=np.float32), np.ones(2, dtype=np.bool_))
