"""Scores of answers, against the benchmarks' rules and against slow, obvious ways to count."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.train.tasks_example import Example, Prompt
from proxy.train.tasks_rouge import longest_common, rouge_l, rouge_n
from proxy.train.tasks_score import SCORES, score

WORDS = st.lists(st.sampled_from(["a", "b", "c", "dog"]), max_size=12)


def rate(name: str, prediction: str, *right: str, classes: Sequence[str] = ()) -> float:
    example = Example("set", "1", "", "", "", right, tuple(classes))
    return score(Prompt("{context}", (name,), 9), example, prediction)[name]


def slow_common(one: Sequence[str], other: Sequence[str]) -> int:
    row = [0] * (len(other) + 1)
    for word in one:
        last = row[:]
        for at, against in enumerate(other):
            row[at + 1] = last[at] + 1 if word == against else max(last[at + 1], row[at])
    return row[-1]


@given(WORDS, WORDS)
def test_fast_common_subsequence_is_the_slow_one(one: list[str], other: list[str]) -> None:
    assert longest_common(one, other) == slow_common(one, other)


@given(WORDS, WORDS)
def test_rouge_is_symmetric_in_0_to_1_and_1_for_the_same(one: list[str], other: list[str]) -> None:
    first, second = " ".join(one), " ".join(other)
    for rouge in (rouge_l, lambda a, b: rouge_n(a, b, 1), lambda a, b: rouge_n(a, b, 2)):
        assert 0 <= rouge(first, second) <= 1
        assert rouge(first, second) == rouge(second, first)
        assert rouge(first, first) == 1 or len(one) < 2


def test_rouge_of_a_text_book_example() -> None:
    # Lin 2004, section 3.1: "police killed the gunman" against "police kill the gunman".
    reference = "police killed the gunman"
    assert rouge_l("police kill the gunman", reference) == pytest.approx(0.75)
    assert rouge_l("the gunman kill police", reference) == pytest.approx(0.5)
    assert rouge_n("police kill the gunman", reference, 2) == pytest.approx(1 / 3)


def test_chinese_counts_by_character() -> None:
    assert rouge_l("会议开始", "会议结束") == pytest.approx(0.5)
    assert rate("f1", "答案是北京。", "北京") == pytest.approx(2 * 2 / (5 + 2))


@given(st.sampled_from(sorted(SCORES)), st.text(max_size=40), st.text(max_size=40))
def test_every_score_lies_in_0_to_1(name: str, prediction: str, right: str) -> None:
    assert 0 <= rate(name, prediction, right, classes=[right]) <= 1


@given(st.sampled_from(["exact", "found", "f1", "code", "order"]), st.text(max_size=40))
def test_the_right_answer_scores_1(name: str, right: str) -> None:
    right = f"x {right}" if name == "code" else right
    if name == "code" and (set("`#\n") & set(right) or "//" in right):
        return
    numbers = re.findall(r"\d+", right)
    if name == "order" and len(set(numbers)) < len(numbers):
        return  # no order of anything
    assert rate(name, right, right) == 1


@pytest.mark.parametrize(
    "name,prediction,right,wanted",
    [
        ("exact", "The  Answer!", "answer", 1),
        ("exact", "answers", "answer", 0),
        ("found", "It is the answer, I think.", "An answer", 1),
        ("found", "no", "answer", 0),
        ("f1", "red green", "green blue", 0.5),
        ("f1", "", "", 1),
        ("f1", "", "x", 0),
        ("count", "Paragraph 12", "Paragraph 12", 1),
        ("count", "It is 12, not 3.", "12", 0.5),
        ("count", "none", "12", 0),
        ("code", "\n# a note\nreturn x\nmore", "return x", 1),
        ("code", "```\nretur", "return", pytest.approx(10 / 11)),
        ("number", "so 3 + 4 = 7. The answer is $1,234.", "1,234", 1),
        ("number", "The answer is 5 + 2 = 7 apples.\nThat was 9.", "7", 1),
        ("number", "I get 7", "7.0", 1),
        ("number", "The answer is 8.\n\nQuestion: 3 + 4? The answer is 7.", "7", 0),
        ("number", "no number", "7", 0),
        ("answer", "So the answer is (B).", "(B)", 1),
        ("answer", "(A) is not it. So the answer is B", "(B)", 1),
        ("answer", "A man said so.", "(A)", 0),
        ("answer", "the answer is: **True**.", "True", 1),
        ("answer", "So the answer is ] ] >.", "] ] >", 1),
        ("answer", "So the answer is no. Yes is wrong.", "Yes", 0),
        ("option", "(B) because", "(B) the key", 1),
        ("option", "B", "B", 1),
        ("option", "A dog", "(A)", 0),
        ("option", "", "", 0),
        ("closeness", "62%", "62", 1),
        ("closeness", "about 0.52", "62%", pytest.approx(0.5)),
        ("closeness", "none", "62%", 0),
        ("order", "3, 1, 2", "3,1,2", 1),
        ("order", "1, 3, 2", "3, 1, 2", pytest.approx(2 / 3)),
        ("order", "1, 2", "3, 1, 2", 0),
    ],
)
def test_rules(name: str, prediction: str, right: str, wanted: float) -> None:
    assert rate(name, prediction, right) == wanted


def test_of_several_right_answers_the_best_counts() -> None:
    assert rate("exact", "two", "one", "two") == 1


def test_classes_share_what_they_are_named_with() -> None:
    classes = ["Number of something", "Number", "Person"]
    assert rate("class", "Number of something", "Number of something", classes=classes) == 1
    assert rate("class", "Person or Number", "Number", classes=classes) == 0.5
    assert rate("class", "Person", "Number", classes=classes) == 0


def test_thoughts_are_no_answer_and_first_lines_stand_alone() -> None:
    example = Example("set", "1", "", "", "", ("two",))
    thought = "<think>one?\ntwo!</think>\n\ntwo\nthree"
    assert score(Prompt("", ("exact",), 9, first_line=True), example, thought) == {"exact": 1.0}
    assert score(Prompt("", ("exact",), 9), example, thought) == {"exact": 0.0}
