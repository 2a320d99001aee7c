"""Scores of an LLM's answer in [0, 1], by the rules of the benchmarks. Knows nothing of prompts.

Where a benchmark cuts Chinese into words with jieba, here each character is a word, so Chinese
scores can be compared among themselves but not with published ones.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable
from difflib import SequenceMatcher
from itertools import combinations

from proxy.train.tasks_example import Example, Prompt
from proxy.train.tasks_rouge import f1, rouge_l, rouge_n, words

Score = Callable[[str, str, Example], float]
"""Of a prediction against one right answer of an example."""

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_SIGNS = str.maketrans("", "", string.punctuation + "，。！？、；：“”‘’（）《》「」【】")
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?|-?\.\d+")
_IN_BRACKETS = re.compile(r"\(([A-Z])\)")
_AT_START = re.compile(r"\W*([A-Z])(?:\W*\Z|[).:,])")
_ANSWER_IS = re.compile(r"answer is:?", re.IGNORECASE)
_SENTENCE_END = re.compile(r"\.(?:\s|\Z)|\n")
_THOUGHT = re.compile(r"\A\s*<think>.*?</think>\s*", re.DOTALL)
_NEXT_QUESTION = re.compile(r"\n\s*(?:Q|Question)\s*:")


def score(prompt: Prompt, example: Example, prediction: str) -> dict[str, float]:
    """Every score that the prompt names, each for the right answer that it is best for.

    What a reasoning model thinks aloud is no part of its answer.
    """
    prediction = _THOUGHT.sub("", prediction)
    if prompt.first_line:
        prediction = prediction.lstrip("\n").split("\n", 1)[0]
    found = {}
    for name in prompt.scores:
        rate = SCORES[name]
        found[name] = max(
            (rate(prediction, right, example) for right in example.answers), default=0
        )
    return found


def normal(text: str) -> str:
    """SQuAD's form of an answer: lower case without punctuation, articles and extra spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_SIGNS)).split())


def exact(prediction: str, right: str, example: Example) -> float:
    """Whether the two are the same in SQuAD's form."""
    return float(normal(prediction) == normal(right))


def found(prediction: str, right: str, example: Example) -> float:
    """Whether the right answer stands in the prediction: what the paper counts on MeetingBank."""
    return float(normal(right) in normal(prediction))


def token_f1(prediction: str, right: str, example: Example) -> float:
    """SQuAD's F1 of words; of two empty answers, 1."""
    one, other = words(normal(prediction)), words(normal(right))
    if not one or not other:
        return float(one == other)
    return f1((Counter(one) & Counter(other)).total(), len(one), len(other))


def rouge_mean(prediction: str, right: str, example: Example) -> float:
    """Geometric mean of ROUGE-1, 2 and L: ZeroSCROLLS's score of a summary."""
    ones = rouge_n(prediction, right, 1), rouge_n(prediction, right, 2), rouge_l(prediction, right)
    return float((ones[0] * ones[1] * ones[2]) ** (1 / 3))


def classification(prediction: str, right: str, example: Example) -> float:
    """LongBench's: the right class is named, shared with the wrong ones that are named too."""
    named = [name for name in example.classes if name in prediction]
    # A class whose name is a part of the right one's is named by it, not by mistake.
    named = [name for name in named if name == right or name not in right]
    return 1 / len(named) if right in named else 0.0


def count(prediction: str, right: str, example: Example) -> float:
    """LongBench's: the share of the numbers in the prediction that are the right one."""
    numbers = re.findall(r"\d+", prediction)
    wanted = re.findall(r"\d+", right)[-1:]  # "Paragraph 12" as well as "12"
    return sum([number] == wanted for number in numbers) / max(1, len(numbers))


def code(prediction: str, right: str, example: Example) -> float:
    """LongBench's: similarity of the first line that is neither comment nor fence."""
    lines = prediction.lstrip("\n").split("\n")
    line = next((n for n in lines if not any(mark in n for mark in ("`", "#", "//"))), "")
    return SequenceMatcher(None, line.strip(), right.strip(), autojunk=False).ratio()


def number(prediction: str, right: str, example: Example) -> float:
    """GSM8K's: the last number of the conclusion, or of the whole, is the right one."""
    numbers = _NUMBER.findall(_conclusion(prediction)) or _NUMBER.findall(prediction)
    wanted = _NUMBER.findall(right)
    return float(bool(numbers and wanted) and _value(numbers[-1]) == _value(wanted[-1]))


def conclusion(prediction: str, right: str, example: Example) -> float:
    """BBH's: the conclusion equals the target, or names its option."""
    said = _conclusion(prediction)
    if _letter(right):
        return float(_letter(said) == _letter(right))
    return float(_bare(_SENTENCE_END.split(said, maxsplit=1)[0]) == _bare(right))


def option(prediction: str, right: str, example: Example) -> float:
    """ZeroSCROLLS's for QuALITY: the option that is named is the right one."""
    return float(_letter(_conclusion(prediction)) == _letter(right) != "")


def closeness(prediction: str, right: str, example: Example) -> float:
    """ZeroSCROLLS's for SpaceDigest: ``2 ** (-10 * distance)`` of two percentages (section 3.2)."""
    said, wanted = _percentage(prediction), _percentage(right)
    if said is None or wanted is None:
        return 0.0
    return float(2 ** (-10 * abs(said - wanted)))


def order(prediction: str, right: str, example: Example) -> float:
    """ZeroSCROLLS's for BookSumSort: share of pairs in the right order; 0 if no permutation."""
    said, wanted = re.findall(r"\d+", prediction), re.findall(r"\d+", right)
    if sorted(said) != sorted(wanted):
        return 0.0
    place = {item: at for at, item in enumerate(said)}
    pairs = [place[one] < place[other] for one, other in combinations(wanted, 2)]
    return sum(pairs) / len(pairs) if pairs else 1.0


SCORES: dict[str, Score] = {
    "exact": exact,
    "found": found,
    "f1": token_f1,
    "rouge1": lambda prediction, right, _: rouge_n(prediction, right, 1),
    "rouge2": lambda prediction, right, _: rouge_n(prediction, right, 2),
    "rougeL": lambda prediction, right, _: rouge_l(prediction, right),
    "rouge": rouge_mean,
    "class": classification,
    "count": count,
    "code": code,
    "number": number,
    "answer": conclusion,
    "option": option,
    "closeness": closeness,
    "order": order,
}


def _conclusion(prediction: str) -> str:
    """The line after the last "answer is"; the whole prediction if it says no such thing.

    Models that go on with a question of their own are cut off there, as its answer is not asked.
    """
    own = _NEXT_QUESTION.split(prediction, maxsplit=1)[0]
    parts = _ANSWER_IS.split(own)
    return parts[-1].strip().split("\n")[0] if len(parts) > 1 else own


def _letter(text: str) -> str:
    """The letter of an option, "(B)" anywhere or "B", "B." and "B) ..." at the start; else ""."""
    match = _IN_BRACKETS.search(text) or _AT_START.match(text)
    return match[1] if match else ""


def _value(text: str) -> float:
    return float(text.replace(",", ""))


def _bare(text: str) -> str:
    return " ".join(text.strip().strip("*\"'. ").lower().split())


def _percentage(text: str) -> float | None:
    """A share in [0, 1] from "62%", "62" or "0.62"."""
    match = re.search(r"(\d+(?:\.\d+)?)\s*(%?)", text)
    if match is None:
        return None
    value = float(match[1])
    return value if value < 1 and not match[2] else value / 100
