"""Reading chunks once gives what the tokenizer itself gives, whatever the text."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as HuggingFaceTokenizer

from proxy.compress.checkpoint import find
from proxy.compress.tokenize import Tokenizer
from proxy.compress.wordpiece import _PIECE, WordPiece
from tests.compress.families import TEXTS, tokenizer

WORDS = st.sampled_from([*" ".join(TEXTS.values()).split(), "Committee,", "unbelievably", "don't"])
ODD = st.sampled_from(
    "\u0301|e\u0301\u0316|\u0316\u0301a|ﬁ|½|\u200d|\u00ad|\ufeff|\x00|\x1c|\x1f|\x0b|\x0c|\x85"
    "|\u2028|\u00a0|\u3000|\u1680|\u180e|\u200b|[SEP]|[UNK]|##ing|Ａ|İ|ẞ|ǆ|한국|각|中|中a文|👍🏽"
    "|👩\u200d👧x|☂\ufe0f|\ufffd|\U0001f1eb\U0001f1f7|a\u0338=|\u0f73\u0f71|\u1100\u1161\u11a8"
    "|".split("|")
)
GAPS = st.sampled_from([" ", " ", "", "  ", "\n", "\r\n", "\n\n ", "\t", "\u00a0", "\x0b"])
TEXT = st.lists(st.tuples(WORDS | ODD | st.text(max_size=4), GAPS), max_size=25).map(
    lambda pairs: "".join(word + gap for word, gap in pairs)
)


@cache
def shipped() -> Tokenizer:
    return find("builtin").tokenizer()


@cache
def cased() -> Tokenizer:
    return new()


def new() -> Tokenizer:
    return Tokenizer(HuggingFaceTokenizer.from_str(tokenizer("bert").to_str()), "[UNK]")


def assert_same(own: Tokenizer, text: str, spans: list[tuple[int, int]]) -> None:
    fast, wordpiece = own.encode(text, spans), own.wordpiece
    assert wordpiece is not None
    own.wordpiece = None
    try:
        slow = own.encode(text, spans)
    finally:
        own.wordpiece = wordpiece
    for name in ("ids", "starts", "ends"):
        assert getattr(fast, name).tolist() == getattr(slow, name).tolist()


@given(text=TEXT)
@example(text="")
@example(text=" \n ")
@example(text="\u0301 a\u0301 \u0301\u0316b")
@example(text="x" * 101 + " " + "y" * 100)
@settings(max_examples=300)
def test_tokens_and_offsets_are_the_tokenizers_own(text: str) -> None:
    clean = text.encode("utf-8", "replace").decode()
    assert_same(shipped(), clean, [(0, len(clean))])
    assert_same(cased(), clean, [(0, len(clean))])


@given(text=TEXT, data=st.data())
@settings(max_examples=100)
def test_spans_are_read_apart(text: str, data: st.DataObject) -> None:
    clean = text.encode("utf-8", "replace").decode()
    cuts = data.draw(st.lists(st.integers(0, len(clean)), max_size=8, unique=True).map(sorted))
    assert_same(shipped(), clean, list(zip(cuts[::2], cuts[1::2], strict=False)))


@pytest.mark.parametrize("gap", [" ", "\n", "\t"])
def test_a_long_text_is_read_in_pieces(gap: str) -> None:
    text = gap.join([f"Word{number % 700} and half-way, {number}." for number in range(4_000)])
    assert len(text) > 2 * _PIECE
    assert_same(shipped(), text, [(0, len(text))])


def test_only_words_of_the_vocabulary_are_remembered() -> None:
    own = new()
    text = "committee (library), sk-9f31 Xqzvw committee's"
    own.encode(text, [(0, len(text))])
    assert own.wordpiece is not None
    remembered = own.wordpiece._known
    assert {word for word in remembered if word} <= {"committee", "(library),", "committee's"}


@pytest.mark.parametrize("family", ["roberta", "xlm-roberta", "deberta"])
def test_other_tokenizers_are_not_taken_for_wordpiece(family: str) -> None:
    assert WordPiece.of(tokenizer(family)) is None


def test_tokens_added_that_are_no_special_ones_are_looked_for_over_spaces() -> None:
    inner = HuggingFaceTokenizer.from_str(tokenizer("bert").to_str())
    inner.add_tokens(["the committee"])
    assert WordPiece.of(inner) is None


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.compress.wordpiece._REMEMBERED", 10)
    own = new()
    text = " ".join(np.unique("the budget, of a library and not to be read (at all) on".split()))
    for marks in ("", ".", "!", "?"):
        own.encode(text + marks, [(0, len(text) + len(marks))])
    assert own.wordpiece is not None
    assert len(own.wordpiece._known) <= 10
