from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

from proxy.train import devsets, evaluate_measures, evaluate_methods
from proxy.train.devsets import Text, with_questions

TEXT = "The prize went to Marie Curie in 1911. Nobody else shared the prize."


def _write(file: Path, rows: list[dict[str, Any]]) -> None:
    with gzip.open(file, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)


def _kept(text: Text, words: str) -> Any:
    return np.array([unit in words.split() for unit in text.units.strings])


def test_an_answer_stays_only_with_all_its_content_words() -> None:
    text = with_questions(TEXT, [("Who won the prize?", ["marie curie"])])
    whole = evaluate_measures.answers_kept([text], [_kept(text, "prize Marie Curie")])
    half = evaluate_measures.answers_kept([text], [_kept(text, "prize Marie")])
    assert (whole["answers"], half["answers"]) == (1.0, 0.0)


def test_an_answer_without_the_words_of_the_question_is_not_linked() -> None:
    text = with_questions(TEXT, [("Who won the prize?", ["Marie Curie"])])
    found = evaluate_measures.answers_kept([text], [_kept(text, "Marie Curie")])
    assert found == {"answers": 1.0, "linked": 0.0, "linked all": 0.0}


def test_a_link_is_whole_only_with_all_words_of_the_question_that_stood_there() -> None:
    text = with_questions(TEXT, [("Who went for the prize in 1911?", ["Marie Curie"])])
    half = evaluate_measures.answers_kept([text], [_kept(text, "Marie Curie prize went")])
    whole = evaluate_measures.answers_kept([text], [_kept(text, "Marie Curie prize went 1911")])
    assert (half["linked"], half["linked all"]) == (1.0, 0.0)
    assert (whole["linked"], whole["linked all"]) == (1.0, 1.0)


def test_a_question_whose_answer_stands_nowhere_is_left_out() -> None:
    assert with_questions(TEXT, [("Who?", ["Einstein"]), ("Who?", ["?"])]).questions == ()


def test_signs_between_the_words_of_an_answer_are_passed_over() -> None:
    text = with_questions("It was May 4, 1911 then.", [("When?", ["May 4 1911"])])
    assert len(text.questions) == 1


def test_passages_are_joined_until_they_are_long_enough(tmp_path: Path) -> None:
    row = {"question": "Who won?", "answers": ["Curie"], "text": "Curie won. " * 10}
    _write(tmp_path / "nq-oracle-dev.jsonl.gz", [row] * 7)
    texts = devsets.nq(tmp_path, length=50)
    assert [len(text.questions) for text in texts] == [3, 3]


def test_marks_count_content_words_only(tmp_path: Path) -> None:
    _write(tmp_path / "debatesum-dev.jsonl.gz", [{"text": TEXT, "keep": [[0, 9]]}])
    (text,) = devsets.marked(tmp_path, "debatesum-dev")
    found = evaluate_measures.marks_kept([text], [_kept(text, "The prize 1911")])
    # "prize" twice and "1911" stay; of the two content words marked none but "prize" is one.
    assert found["f1"] == 2 * 1 / (3 + 1)


def test_truncation_keeps_the_beginning() -> None:
    text = Text(TEXT)
    kept = evaluate_methods.select(text, evaluate_methods.by_truncation(text), 0.5)
    assert kept[:5].all()
    assert not kept[-5:].any()


def test_rare_words_are_worth_more() -> None:
    text = Text(TEXT)
    scores = evaluate_methods.by_rarity(["the prize went to the best"] * 3)(text)
    worth = dict(zip(text.units.strings, scores.tolist(), strict=True))
    assert worth["."] < worth["prize"] < worth["Curie"]


def test_a_rate_in_characters_counts_characters() -> None:
    text = Text("aa " * 20)
    scores = evaluate_methods.by_truncation(text)
    assert evaluate_methods.select(text, scores, 0.5, "characters").sum() == 10
