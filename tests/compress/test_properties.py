"""What holds for every text, rate and set of rules."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.tokens import encoding
from proxy.types import Compressed, Mark
from tests.compress.readers import fake

WORDS = st.sampled_from(
    "the of a compress word number's 3.5 $10,000 http://a.b/c?d=1 x@y.org B2B well-known not "
    "can't 2024-05-01 foo_bar src/a.py — ( ) \" ' ... ! ? . , ; : <|endoftext|> {tag} 中文 日本語 "
    "😀 👩‍👧 שלום مرحبا \x00 naïve Straße [a](b) ## - * | = \ud800 -5 50 %".split(" ")
)
GAPS = st.sampled_from([" ", " ", " ", "", "\n", "\n\n", "  ", "\t", "\r\n", "\u00a0"])
TEXTS = st.one_of(
    st.lists(st.tuples(WORDS, GAPS), max_size=80).map(lambda p: "".join(w + g for w, g in p)),
    st.text(max_size=200),
    st.text(alphabet=st.characters(codec=None), max_size=60),
)
RATES = st.floats(0.01, 1.0)


def is_subsequence(short: str, long: str) -> bool:
    rest = iter(long)
    return all(char in rest for char in short)


def check(text: str, result: Compressed) -> None:
    assert result.text == "".join(text[s:e] for s, e in result.kept)
    assert is_subsequence(result.text, text)
    assert result.tokens_after <= result.tokens_before
    assert result.tokens_after == encoding().count(result.text)


@given(TEXTS, RATES)
def test_output_is_the_kept_spans_of_the_input(text: str, rate: float) -> None:
    check(text, fake().compress(text, rate))


@given(TEXTS)
def test_rate_one_is_the_identity(text: str) -> None:
    result = fake().compress(text, 1.0, force_tokens=["\n", "."], drop_consecutive=True)
    assert result.text == text


@given(TEXTS, RATES, RATES, st.booleans())
@settings(max_examples=200)
def test_raising_the_rate_never_drops_what_was_kept(
    text: str, one: float, other: float, consecutive: bool
) -> None:
    low, high = sorted((one, other))
    rules = {"force_tokens": ["\n", "."], "drop_consecutive": consecutive}
    less, more = (words_of(text, fake().compress(text, rate, **rules)) for rate in (low, high))
    assert less <= more


def words_of(text: str, result: Compressed) -> set[int]:
    """Places of the kept characters of words; what stands between words may change with them."""
    kept = (i for s, e in result.kept for i in range(s, e))
    return {i for i in kept if text[i].isalnum()}


# ASCII alone: what the fake vocabulary can't read stays in any case.
@example([("(", "  "), ("of", "\n"), ("the", " "), ("of", " ")], 0.5)  # a word and both its gaps
@given(st.lists(st.tuples(WORDS.filter(str.isascii), GAPS), min_size=1, max_size=120), RATES)
@settings(max_examples=200)
def test_the_target_is_met_within_one_word_or_one_percent(
    pieces: list[tuple[str, str]], rate: float
) -> None:
    text = "".join(word + gap for word, gap in pieces)
    result = fake().compress(text, rate)
    target = round(rate * result.tokens_before)
    # A word between two that stay brings back the white space on both of its sides.
    around = re.findall(r"(?=(\s*\S+\s*))", f" {text}") or [""]
    longest = max(map(encoding().count, around))
    slack = max(longest, 0.01 * target) + 1  # and a token where two words meet
    if result.reason:
        assert target >= result.tokens_before - slack or len(text.split()) <= 1
    else:
        assert abs(result.tokens_after - target) <= slack


@given(st.integers(1, 2000), st.floats(0.05, 0.95))
@settings(max_examples=40)
def test_a_long_text_meets_its_target_within_one_percent(words: int, rate: float) -> None:
    text = " ".join(f"word{'s' if n % 3 else ''} number{n % 7}, the of." for n in range(words))
    result = fake(256).compress(text, rate)
    target = round(rate * result.tokens_before)
    assert abs(result.tokens_after - target) <= max(4, 0.01 * target)


@given(TEXTS, RATES, st.lists(st.sampled_from(["the", ".", "\n", "B2B", "中"]), max_size=3))
def test_every_forced_token_is_still_there(text: str, rate: float, tokens: list[str]) -> None:
    result = fake().compress(text, rate, force_tokens=tokens)
    for token in tokens:
        assert result.text.count(token) >= (1 if token in text else 0)
        if not token.isalnum() or not token.isascii():
            assert result.text.count(token) == text.count(token)


@given(TEXTS, RATES)
def test_every_digit_is_kept_when_digits_are_reserved(text: str, rate: float) -> None:
    result = fake().compress(text, rate, force_reserve_digit=True)
    assert re.findall(r"\d", result.text) == re.findall(r"\d", text)


@given(TEXTS, RATES)
def test_pattern_matches_are_kept(text: str, rate: float) -> None:
    pattern = r"[a-z]+_[a-z]+|\$\d+"
    result = fake().compress(text, rate, force_patterns=[pattern])
    for match in re.findall(pattern, text):
        assert match in result.text


@given(st.lists(st.tuples(WORDS, GAPS), min_size=3, max_size=60), RATES, st.data())
def test_marked_spans_come_out_byte_for_byte(
    pieces: list[tuple[str, str]], rate: float, data: st.DataObject
) -> None:
    text = "".join(word + gap for word, gap in pieces)
    edges = sorted(data.draw(st.sets(st.integers(0, len(text)), min_size=4, max_size=4)))
    spans = [(s, e) for s, e in (edges[:2], edges[2:]) if text[s:e].strip()]
    marks = [Mark(s + lead(text[s:e]), e - tail(text[s:e]), "test") for s, e in spans]
    half = len(marks) // 2
    result = fake().compress(
        text, rate, intact=marks[:half], forced=marks[half:], force_tokens=["\n", "."],
        drop_consecutive=True,
    )  # fmt: skip
    for mark in marks:
        assert any(s <= mark.start and mark.end <= e for s, e in result.kept)


def lead(text: str) -> int:
    return len(text) - len(text.lstrip())


def tail(text: str) -> int:
    return len(text) - len(text.rstrip())


@given(st.lists(TEXTS, min_size=1, max_size=6))
@settings(max_examples=25)
def test_the_same_text_gives_the_same_result_whatever_runs_beside_it(texts: list[str]) -> None:
    alone = [fake(threads=1).compress(text, 0.4).text for text in texts]
    with ThreadPoolExecutor(4) as pool:
        beside = pool.map(lambda text: fake().compress(text, 0.4).text, texts * 3)
        assert list(beside) == alone * 3


@pytest.mark.parametrize("rate", [0, -1, 1.01, float("nan")])
def test_a_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        fake().compress("some text", rate)
