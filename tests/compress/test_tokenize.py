"""Every family's tokenizer: its own special tokens, and which tokens a word has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as HuggingFaceTokenizer

from proxy.compress.draft import Draft, Job, Reader
from proxy.compress.tokenize import Tokenizer
from proxy.types import Mark
from tests.compress.families import FAMILIES, TEXTS, tokenizer

every_family = pytest.mark.parametrize("family", FAMILIES)
WORDS = st.sampled_from(" ".join(TEXTS.values()).split())
ODD = st.sampled_from(
    "\u0301|e\u0301\u0316|ﬁ|½|㎏|½½|\u200d|\u00ad|\ufeff|٠|</s>|[SEP]|Ａ|ǆ|\x00|\ud800|한국|▁|Ġ|##a"
    "".split("|")
)
GAPS = st.sampled_from([" ", "", "  ", "\n", "\n\n ", "\t", "\u00a0", "\u3000"])
MIXED = st.lists(st.tuples(WORDS | ODD | st.text(max_size=5), GAPS), max_size=30).map(
    lambda pairs: "".join(word + gap for word, gap in pairs)
)


def own(family: str) -> Tokenizer:
    return Tokenizer(HuggingFaceTokenizer.from_str(tokenizer(family).to_str()))


@every_family
def test_special_tokens_are_the_checkpoints_own(family: str) -> None:
    before, after = FAMILIES[family].specials
    found = own(family)
    assert found.prefix.tolist() == [tokenizer(family).token_to_id(before)]
    assert found.suffix.tolist() == [tokenizer(family).token_to_id(after)]
    assert found.specials == 2


@every_family
@given(text=MIXED)
@settings(max_examples=60)
def test_a_units_tokens_are_those_of_its_characters(family: str, text: str) -> None:
    reader = Reader(own(family), 48)
    draft = Draft.of(Job(text), reader)
    starts, ends = draft.tokens.starts, draft.tokens.ends
    assert (np.diff(starts) >= 0).all() and (np.diff(ends) >= 0).all()
    wide = ends > starts
    for unit in range(len(draft.units)):
        low, high = draft.units.starts[unit], draft.units.ends[unit]
        touching = np.flatnonzero(wide & (starts < high) & (ends > low))
        span = np.arange(draft.first[unit], draft.past[unit])
        assert span[wide[span]].tolist() == touching.tolist()


@every_family
@pytest.mark.parametrize("language", TEXTS)
def test_every_word_has_tokens_and_no_two_words_share_one(family: str, language: str) -> None:
    draft = Draft.of(Job(TEXTS[language]), Reader(own(family), 48))
    letters = np.array([any(map(str.isalnum, unit)) for unit in draft.units.strings])
    assert (draft.past > draft.first)[letters].all()
    apart = ~draft.units.glued[1:] & letters[1:] & letters[:-1]
    assert (draft.first[1:] >= draft.past[:-1])[apart].all()


@every_family
def test_blocks_are_not_read_and_offsets_go_on_after_them(family: str) -> None:
    text = TEXTS["german"]
    start = text.index("heute")
    draft = Draft.of(Job(text, intact=(Mark(start, start + 30, "code"),)), Reader(own(family), 48))
    inside = (draft.tokens.starts < start + 30) & (draft.tokens.ends > start)
    assert not inside.any()
    last = draft.tokens.ends[-1]
    assert last == len(text)
