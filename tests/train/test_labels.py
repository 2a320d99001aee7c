from __future__ import annotations

import numpy as np
import pytest

from proxy.train import labels
from proxy.train.labels import Mix, Slice
from proxy.train.words import is_content, sentences_of, words_of

TEXT = "Um, the mayor of Lyon did not sign 12 papers. She signed, well, none {vocalsound} at all."


def _labels(pieces: list[Slice], mix: Mix | None = None) -> list[dict[str, float]]:
    mix = mix or Mix()
    idf = labels.inverse_frequencies([piece.text for piece in pieces] + ["the of did at all she"])
    lost = [np.zeros(len(words_of(piece.text)), dtype=np.float32) for piece in pieces]
    worth = [labels.totals(p, part, idf, mix) for p, part in zip(pieces, lost, strict=True)]
    found = labels.soft_labels(pieces, worth, mix)
    return [
        dict(zip([p.text[s:e] for s, e in words_of(p.text)], part.tolist(), strict=True))
        for p, part in zip(pieces, found, strict=True)
    ]


def test_names_numbers_and_negations_stand_over_fillers_and_signs() -> None:
    (found,) = _labels([Slice(TEXT, (), "a", "scitldr")])
    wanted = min(found[word] for word in ("Lyon", "not", "12", "none"))
    assert wanted > max(found[word] for word in ("Um", "well", ",", ".", "{vocalsound}"))


def test_labels_are_probabilities() -> None:
    (found,) = _labels([Slice(TEXT, (), "a", "scitldr")])
    assert all(0 <= value <= 1 for value in found.values())


def test_a_mark_lifts_the_content_words_in_it_most() -> None:
    start = TEXT.index("sign 12")
    span = (start, TEXT.index("She"))
    (plain,) = _labels([Slice(TEXT, (), "a", "debatesum")])
    (marked,) = _labels([Slice(TEXT, (span,), "a", "debatesum")])
    assert marked["papers"] > plain["papers"]
    assert marked["mayor"] <= plain["mayor"]


def test_a_marked_slice_keeps_more_than_an_empty_one_of_the_same_source() -> None:
    whole = ((0, len(TEXT)),)
    rich, poor = _labels([Slice(TEXT, whole, "a", "qmsum"), Slice(TEXT, (), "b", "qmsum")])
    assert sum(rich.values()) > sum(poor.values())


def test_a_speaker_is_a_filler() -> None:
    text = "Olga: the budget rose.\nPetr: no, Olga, it fell."
    words = words_of(text)
    added = labels.rules(text, words, Mix())
    by_start = {start: value for (start, _), value in zip(words, added.tolist(), strict=True)}
    assert by_start[text.index("Olga:")] < 0 < by_start[text.index("Olga,")]


@pytest.mark.parametrize("word", ["{disfmarker}", ",", "the", "Don’t"])
def test_signs_tags_and_stop_words_are_no_content(word: str) -> None:
    assert not is_content(word)


def test_long_sentences_are_cut() -> None:
    text = "word " * 150
    assert max(sentences_of(text, words_of(text), longest=64)) == 2


def test_words_keep_their_joints() -> None:
    text = "It's 3.5, B2B-like, at a@b.org."
    assert [text[s:e] for s, e in words_of(text)][:6] == ["It's", "3.5", ",", "B2B-like", ",", "at"]
