"""Labels that open a line stay with what is said under them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.compress.heads import Heads
from proxy.compress.turns import labels
from proxy.compress.words import split
from proxy.tokens import encoding
from proxy.types import Mark, Rules
from tests.compress.readers import fake

NAMES = st.sampled_from(["Ines Okafor", "TOM", "Dr. Weiss (guest)", "Speaker 5", "Q", "**Per**"])
WORDS = st.sampled_from(
    "the council, met about a leaking roof. and nobody not 7 glad of it".split()
)
TURNS = st.lists(
    st.tuples(NAMES, st.lists(WORDS, min_size=1, max_size=15).map(" ".join)), min_size=2, max_size=9
)


def written(turns: list[tuple[str, str]]) -> tuple[str, list[tuple[int, int, int]]]:
    """The transcript, and where each label starts and ends and its turn ends."""
    text, places = "", []
    for name, words in turns:
        start = len(text)
        text += f"{name}: {words}\n"
        places.append((start, start + len(name) + 1, len(text)))
    return text, places


@given(TURNS, st.floats(0.05, 0.95), st.booleans(), st.sampled_from([None, 0.5]))
@settings(max_examples=150)
def test_a_label_stays_whole_while_a_word_of_its_turn_does(
    turns: list[tuple[str, str]], rate: float, digits: bool, threshold: float | None
) -> None:
    text, places = written(turns)
    rules = {"force_tokens": ["\n", "."], "force_reserve_digit": digits, "threshold": threshold}
    result = fake().compress(text, rate, keep_labels=True, **rules)
    kept = {i for s, e in result.kept for i in range(s, e)}
    for start, end, stop in places:
        said = any(text[i].isalnum() for i in kept & set(range(end, stop)))
        if said:
            assert set(range(start, end)) <= kept
        elif not digits and text[start:end].isalpha() and len(kept) > 12:
            assert not kept & set(range(start, end)), text[start:end]


@given(TURNS, st.floats(0.05, 0.95), st.floats(0.05, 0.95))
@settings(max_examples=60)
def test_raising_the_rate_never_drops_what_was_kept(
    turns: list[tuple[str, str]], one: float, other: float
) -> None:
    text, _ = written(turns)
    kept = []
    for rate in sorted((one, other)):
        result = fake().compress(text, rate, keep_labels=True, force_tokens=["\n"])
        kept.append({i for s, e in result.kept for i in range(s, e) if text[i].isalnum()})
    assert kept[0] <= kept[1]


@given(st.lists(st.tuples(NAMES, st.just("alarm roof cellar " * 9)), min_size=5, max_size=9))
@settings(max_examples=20)
def test_the_target_is_met_all_the_same(turns: list[tuple[str, str]]) -> None:
    text, _ = written(turns)
    result = fake().compress(text, 0.5, keep_labels=True)
    assert abs(result.tokens_after - 0.5 * encoding().count(text)) <= 8


@pytest.mark.parametrize(
    "label",
    [
        "Ines:", "Ines Okafor:", "TOM MARSH:", "Dr. Anna Weiss (guest):", "Speaker 5:", "Q:",
        "user:", "[00:14:22] Tom:", "12:30 - Tom Marsh:", "**Ines**:", "**Ines:**", "Élise:",
        "Ludwig van Beethoven:", "主席:",
    ],
)  # fmt: skip
def test_a_label_is_found(label: str) -> None:
    text = f"A line.\n{label} and so on: to the end\n> {label} too"
    assert [text[s:e] for s, e in labels(text)] == [label, label]


def test_what_is_in_a_sentence_is_no_label() -> None:
    for text in ("then he said: no", "He said that it was all right: it is.", "http://a.b", "A:b"):
        assert not list(labels(text)), text


def test_a_label_in_a_block_is_a_part_of_it() -> None:
    text = "Ines: this\n```\nName: x\n```\nTom: that"
    heads = Heads.among(split(text, [(11, 26)]), Rules(keep_labels=True))
    assert len(heads) == 2
    block = Mark(11, 26, "code")
    result = fake().compress(text, 0.2, keep_labels=True, intact=[block])
    assert result.text.startswith("Ines:") and "Name: x" in result.text


def test_labels_are_like_other_words_where_nobody_asks_for_them() -> None:
    text = "Ines Okafor: the council met about a leaking roof\n" * 8
    rates = [fake().compress(text, 0.3).text, fake().compress(text, 0.3, keep_labels=False).text]
    assert rates[0] == rates[1] != fake().compress(text, 0.3, keep_labels=True).text


@pytest.mark.parametrize(
    "unit", ["A: b\n", "A: ", "A (", "A, B ", "**A", "[00:00] ", "\n", "É: ", "A "]
)
def test_labels_are_found_in_linear_time(unit: str) -> None:
    assert len(list(labels(unit * (1_000_000 // len(unit))))) >= 0
