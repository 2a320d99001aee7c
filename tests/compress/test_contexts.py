"""The context-level filter: the best contexts stay, and the total is what was asked for."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.compress import Compressor
from proxy.compress.draft import Job
from proxy.compress.scorer import FakeScorer, Floats, Ints
from proxy.config_policy import Policy
from proxy.gate import verify
from proxy.messages.segment import passage
from proxy.tokens import encoding
from proxy.types import Compressed, Mark, Span
from tests.compress.readers import reader

WORDS = st.sampled_from("the council met about a leaking roof and nobody was glad of it".split())
PARAGRAPHS = st.lists(
    st.lists(WORDS, min_size=8, max_size=25).map(" ".join), min_size=2, max_size=8
)


class Picky(FakeScorer):
    """Likes the words that the vocabulary lacks: the others are "the", "of", "and"."""

    def score(self, ids: Ints) -> Floats:
        known = reader().tokenizer.encode("the", [(0, 3)]).ids[0]
        return np.where(ids >= known, 0.1, 0.9).astype(np.float32)


@cache
def picky() -> Compressor:
    return Compressor(Picky(), reader())


def spans_of(paragraphs: list[str]) -> tuple[str, list[Span]]:
    text = "\n\n".join(paragraphs)
    starts = [0, *(match.end() for match in re.finditer("\n\n", text))]
    return text, list(zip(starts, [*starts[1:], len(text)], strict=True))


def there(result: Compressed, text: str, contexts: list[Span]) -> set[int]:
    kept = {i for s, e in result.kept for i in range(s, e) if not text[i].isspace()}
    return {n for n, (s, e) in enumerate(contexts) if kept & set(range(s, e))}


def run(paragraphs: list[str], rate: float, **more: Any) -> tuple[Compressed, list[Span]]:
    text, contexts = spans_of(paragraphs)
    return picky().compress(text, rate, contexts=contexts, **more), contexts


@given(PARAGRAPHS, st.floats(0.05, 0.95), st.floats(0.1, 1.0))
@settings(max_examples=60)
def test_the_total_is_what_was_asked_for(
    paragraphs: list[str], rate: float, context_rate: float
) -> None:
    result, _ = run(paragraphs, rate, context_rate=context_rate)
    target = round(rate * result.tokens_before)
    slack = 3 if not result.reason else result.tokens_before
    assert abs(result.tokens_after - target) <= max(slack, 0.01 * target)
    assert result.tokens_after == encoding().count(result.text)


@given(PARAGRAPHS, st.floats(0.05, 0.95), st.floats(0.05, 0.95), st.floats(0.1, 1.0))
@settings(max_examples=60)
def test_raising_the_rate_never_drops_what_was_kept(
    paragraphs: list[str], one: float, other: float, context_rate: float
) -> None:
    kept = []
    for rate in sorted((one, other)):
        result, _ = run(paragraphs, rate, context_rate=context_rate)
        text, _ = spans_of(paragraphs)
        kept.append({i for s, e in result.kept for i in range(s, e) if text[i].isalpha()})
    assert kept[0] <= kept[1]


@given(PARAGRAPHS, st.integers(1, 8), st.data())
@settings(max_examples=40)
def test_no_more_contexts_stay_than_were_asked_for_while_they_fill_the_rate(
    paragraphs: list[str], target: int, data: st.DataObject
) -> None:
    forced = data.draw(st.sets(st.integers(0, len(paragraphs) - 1), max_size=target))
    result, contexts = run(
        paragraphs, 0.1, target_context=target, force_context_ids=forced, force_tokens=["\n"]
    )
    text, _ = spans_of(paragraphs)
    found = there(result, text, contexts)
    sizes = [encoding().count(text[s:e]) for s, e in contexts]
    least = sum(sorted(sizes)[: min(target, len(sizes))])
    if least > 0.1 * result.tokens_before + 3:  # so that none had to be added
        assert len(found) <= target
    assert found >= forced


def test_a_context_is_worth_the_mean_of_its_words() -> None:
    good = "alarm basement caretaker water photograph insurer " * 3
    poor = "the of and to it was " * 6
    result, contexts = run([poor, good, poor], 0.15, context_rate=0.3)
    assert there(result, spans_of([poor, good, poor])[0], contexts) == {1}


def test_marks_go_with_their_context_and_stay_without() -> None:
    paragraphs = ["the of and it was 47 to be " * 3, "alarm caretaker water insurer 12 roof " * 3]
    text, contexts = spans_of(paragraphs)
    marks = [Mark(m.start(), m.end(), "number") for m in re.finditer(r"\d+", text)]
    result = picky().compress(text, 0.3, forced=marks, contexts=contexts, target_context=1)
    assert "47" not in result.text
    assert result.text.count("12") == 3
    both = picky().compress(
        text, 0.3, forced=marks, contexts=contexts, target_context=1, force_context_ids=[0, 1]
    )
    assert both.text.count("47") == 3


def test_a_context_without_words_to_judge_stays() -> None:
    code = "x = 1\ny = 2"
    paragraphs = [code, "alarm caretaker water insurer " * 5, "the of and " * 5]
    text, contexts = spans_of(paragraphs)
    result = picky().compress(
        text, 0.3, intact=[Mark(0, len(code), "code")], contexts=contexts, target_context=1
    )
    assert result.text.startswith(code)


@pytest.mark.parametrize("rules", [{"threshold": 0.2}, {"budget": "window"}])
def test_contexts_go_whatever_chooses_the_words(rules: dict[str, Any]) -> None:
    good = "alarm basement caretaker water photograph insurer " * 3
    poor = "the of and to it was " * 6
    result, contexts = run([poor, good, poor], 0.5, context_rate=0.3, **rules)
    assert there(result, spans_of([poor, good, poor])[0], contexts) == {1}


def test_the_gate_lets_go_of_what_was_in_a_context_that_went_and_of_nothing_else() -> None:
    text, contexts = spans_of(["the 47 of and it was not " * 4, "water in the cellar 12 " * 6])
    policy = Policy(question="none", context_rate=0.4, min_tokens=0)
    found = passage(text, "tool", policy)
    result = picky().run(Job.of(found, policy.rules, 0.3, None))
    assert verify(found, result, policy, encoding()) == result
    assert "47" not in result.text and "not" not in result.text
    assert result.text.count("12") == 6
    number = text.index("12")
    less = [(s, e) for s, e in result.kept if not s <= number < e]
    bad = replace(result, kept=tuple(less), text="".join(text[s:e] for s, e in less))
    assert verify(found, bad, policy, encoding()).reason.startswith("gate: ")
    first = contexts[0]
    part = ((first[0], first[0] + 3), *result.kept)  # of the first, a word, but not its numbers
    bad = replace(result, kept=part, text="".join(text[s:e] for s, e in part))
    assert verify(found, bad, policy, encoding()).reason.startswith("gate: ")
