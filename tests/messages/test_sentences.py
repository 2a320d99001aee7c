"""Edges of what is looked at near the ends of a text."""

from __future__ import annotations

import pytest

from proxy.messages.sentences import head, tail

TEXT = "Then let's leave it there, and don’t say more"


@pytest.mark.parametrize("words", range(1, 9))
def test_no_edge_parts_a_word_at_its_apostrophe(words: int) -> None:
    first, last = head(TEXT, 0, len(TEXT), words, 99), tail(TEXT, 0, len(TEXT), words, 99)
    assert TEXT[:first].split() == TEXT.split()[: len(TEXT[:first].split())]
    kept = TEXT[last:].split()
    assert kept == TEXT.split()[len(TEXT.split()) - len(kept) :]
