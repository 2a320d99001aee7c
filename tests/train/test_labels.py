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


def test_a_meetings_marks_speak_for_themselves() -> None:
    start = TEXT.index("mayor")
    piece = Slice(TEXT, ((start, start + len("mayor of")),), "a", "qmsum")
    mix = Mix(marked=1.0)
    (found,) = _labels([piece], mix)
    assert found["mayor"] == 1
    assert found["of"] == found["Lyon"] == found["12"] == 0


def test_longer_words_have_to_be_worth_more() -> None:
    text = "Ok bookkeepers ok."
    (plain,) = _labels([Slice(text, (), "a", "scitldr")], Mix(length=0.0, content=0.0, name=0.0))
    (dear,) = _labels([Slice(text, (), "a", "scitldr")], Mix(length=-1.0, content=0.0, name=0.0))
    assert dear["bookkeepers"] < plain["bookkeepers"]


def test_words_of_a_sentence_with_much_in_it_stay_together() -> None:
    text = "12 of 40 papers. A somebody signed something."

    def found(weight: float) -> dict[str, float]:
        mix = Mix(sentence=weight, length=0.0, occlusion=0.0, idf=0.0)
        return _labels([Slice(text, (), "a", "scitldr")], mix)[0]

    assert found(3.0)["papers"] > found(3.0)["something"]
    assert found(0.0)["papers"] < found(0.0)["something"], "equal worth: the later one ranks higher"
