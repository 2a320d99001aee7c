"""A negation keeps a word of what it negates."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.compress.negated import with_what_is_negated
from proxy.compress.words import split
from proxy.types import Mark
from tests.compress.readers import fake


def marked(text: str) -> list[Mark]:
    return [Mark(*m.span(), "negation") for m in re.finditer(r"\b(?:not|no|nobody)\b", text)]


@pytest.mark.parametrize(
    ("text", "good", "kept"),
    [
        ("did not find a slot any earlier", "slot", "not slot"),
        ("did not find a slot any earlier", "earlier", "not find"),
        ("no. It was", "was", "no"),
        ("nobody came, all went", "went", "nobody came"),
        ("nothing against it at all", "it", "nothing against"),
        ("it did not go on", "on", "not on"),
        ("it is not", "is", "not"),
        ("not one of 7 came", "one", "not 7"),
        ("no, no idea", "idea", "no no idea"),
    ],
)
def test_the_best_of_the_next_words_stays(text: str, good: str, kept: str) -> None:
    units = split(text)
    scores = np.array([0.9 if s == good else 0.5 - 0.01 * i for i, s in enumerate(units.strings)])
    negations = np.array([s in ("not", "no", "nobody", "nothing") for s in units.strings])
    forced = negations | np.array([s == "7" for s in units.strings])
    found = with_what_is_negated(units, scores.astype(np.float32), forced, negations)
    assert " ".join(s for s, there in zip(units.strings, found, strict=True) if there) == kept


WORDS = st.sampled_from("the council met about a roof of it not no nobody was, glad.".split())


@given(st.lists(WORDS, min_size=8, max_size=60).map(" ".join), st.floats(0.05, 0.9))
@settings(max_examples=80)
def test_no_negation_stands_alone_where_a_word_follows(text: str, rate: float) -> None:
    result = fake().compress(text, rate, forced=marked(text))
    kept = {i for s, e in result.kept for i in range(s, e)}
    for match in re.finditer(r"\b(?:not|no|nobody)(?P<after>(?: \w+){1,4})", text):
        assert kept & set(range(match.start("after") + 1, match.end("after")))


@given(st.lists(WORDS, min_size=8, max_size=60).map(" ".join), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=40)
def test_raising_the_rate_never_drops_what_was_kept(text: str, one: float, other: float) -> None:
    kept = []
    for rate in sorted((one, other)):
        result = fake().compress(text, max(rate, 0.01), forced=marked(text))
        kept.append({i for s, e in result.kept for i in range(s, e) if text[i].isalnum()})
    assert kept[0] <= kept[1]
