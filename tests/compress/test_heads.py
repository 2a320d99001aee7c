"""Marks and keys of lists' items stay exactly as long as a word of the item does."""

from __future__ import annotations

import json
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.compress.draft import Job
from proxy.config_policy import Policy
from proxy.gate import verify
from proxy.messages.segment import passage
from proxy.tokens import encoding
from proxy.types import Mark, Region
from tests.compress.readers import fake

LISTS = {"keep_labels": True, "keep_list_marks": True, "keep_quote_marks": True}
RULES = {**LISTS, "force_tokens": ["\n", "."], "drop_consecutive": True}
HEADS = st.sampled_from(["-", "*", "- [ ]", "a)", "- Key:", "- **Two words**:", "+ Who pays -"])
WORDS = st.sampled_from("the council, met about a leaking roof. and nobody not glad of it".split())
ITEMS = st.lists(
    st.tuples(HEADS, st.lists(WORDS, min_size=1, max_size=15).map(" ".join)), min_size=2, max_size=9
)


def written(items: list[tuple[str, str]]) -> tuple[str, list[tuple[int, int, int]]]:
    """The list, and where each head starts and ends and its item ends."""
    text, places = "Some words come first.\n\n", []
    for head, words in items:
        start = len(text)
        text += f"{head} {words}\n"
        places.append((start, start + len(head), len(text)))
    return text, places


@given(
    ITEMS,
    st.floats(0.05, 0.95),
    st.sampled_from([None, 0.5]),
    st.sampled_from(["global", "window"]),
)
@settings(max_examples=150)
def test_a_head_stays_whole_exactly_as_long_as_a_word_under_it(
    items: list[tuple[str, str]], rate: float, threshold: float | None, budget: str
) -> None:
    text, places = written(items)
    result = fake().compress(text, rate, threshold=threshold, budget=budget, **RULES)
    kept = {i for s, e in result.kept for i in range(s, e)}
    for start, end, stop in places:
        said = any(text[i].isalnum() for i in kept & set(range(end, stop)))
        head = {i for i in range(start, end) if not text[i].isspace()}
        assert head & kept == (head if said else set()), text[start:stop]


@given(ITEMS, st.floats(0.1, 0.95))
@settings(max_examples=60)
def test_items_stay_on_lines_of_their_own(items: list[tuple[str, str]], rate: float) -> None:
    text, places = written(items)
    result = fake().compress(text, rate, **RULES)
    kept = {i for s, e in result.kept for i in range(s, e)}
    heads = [text[start:end] for start, end, _ in places if start in kept]
    opened = [line for line in result.text.splitlines() if line and not line.startswith("Some")]
    starting = [line for line in opened if any(line.startswith(head + " ") for head in heads)]
    assert len(starting) == len(heads)


@given(ITEMS, st.floats(0.05, 0.95), st.floats(0.05, 0.95))
@settings(max_examples=60)
def test_raising_the_rate_never_drops_what_was_kept(
    items: list[tuple[str, str]], one: float, other: float
) -> None:
    text, _ = written(items)
    kept = []
    for rate in sorted((one, other)):
        result = fake().compress(text, rate, **RULES)
        kept.append({i for s, e in result.kept for i in range(s, e) if text[i].isalnum()})
    assert kept[0] <= kept[1]


@given(st.lists(st.tuples(HEADS, st.just("alarm roof cellar " * 9)), min_size=5, max_size=9))
@settings(max_examples=20)
def test_the_target_is_met_with_the_heads(items: list[tuple[str, str]]) -> None:
    text, _ = written(items)
    result = fake().compress(text, 0.5, **LISTS)
    assert abs(result.tokens_after - 0.5 * encoding().count(text)) <= 8


@given(
    st.lists(st.lists(WORDS, min_size=1, max_size=12).map(" ".join), min_size=2, max_size=8),
    st.floats(0.1, 0.9),
)
@settings(max_examples=40)
def test_the_marks_of_quoted_lines_stay_with_their_lines(items: list[str], rate: float) -> None:
    text = "".join(f"> {words}\n" for words in items)
    result = fake().compress(text, rate, **RULES)
    assert all(re.match(r"> \w", line) for line in result.text.splitlines()), result.text


@given(st.lists(st.lists(WORDS, min_size=1, max_size=12).map(" ".join), min_size=2, max_size=8))
@settings(max_examples=40)
def test_a_number_that_must_stay_has_a_word_of_its_item(items: list[str]) -> None:
    text = "".join(f"{n}. {words}\n" for n, words in enumerate(items, 1))
    result = fake().compress(text, 0.1, force_reserve_digit=True, **RULES)
    for line, number in zip(result.text.splitlines(), range(1, len(items) + 1), strict=True):
        assert re.match(rf"{number}\. \w", line), result.text


def test_a_key_stays_for_the_items_further_in() -> None:
    text = "- Fruit:\n  - the pear of the kitchen\n  - a plum and of it\n- the of and to\n"
    result = fake().compress(text, 0.5, forced=[Mark(43, 47, "test")], **RULES)
    assert text[43:47] == "plum"
    assert re.search(r"- Fruit:\n(  - .*\n)?  - .*plum", result.text), result.text


def test_labels_that_must_stay_do_at_any_rate() -> None:
    text = "".join(f"Speaker {n}: the council met about a leaking roof\n" for n in range(1, 9))
    result = fake().compress(text, 0.05, force_reserve_digit=True, **RULES)
    assert re.findall(r"Speaker \d:", result.text) == [f"Speaker {n}:" for n in range(1, 9)]


def test_a_region_is_a_text_of_its_own() -> None:
    """Its first line may be an item, and nothing in it goes with a head before it."""
    text = "- one: the of.\n>>- two: and of the council that met\n- three: a roof<<\nthe of it"
    start, end = text.index("- two"), text.index("<<")
    for rate in (0.2, 0.4, 0.6, 0.8):
        result = fake().compress(text, 0.3, regions=[Region(start, end, rate)], **RULES)
        kept = {i for s, e in result.kept for i in range(s, e)}
        for key in ("two", "three"):
            at = text.index(key) - 2
            stop = text.index("\n", at) if key == "two" else end
            said = any(text[i].isalnum() for i in kept & set(range(at + len(key) + 3, stop)))
            assert (at in kept) == said == (at + 2 in kept), result.text


def test_lists_in_strings_of_json_stay_lists_and_pass_the_gate() -> None:
    items = "- Key: the council met about a leaking roof.\n1. and nobody was glad of it.\n" * 12
    text = json.dumps([{"id": n, "body": f"{n} {items}"} for n in range(4)])
    policy = Policy(drop_consecutive=True, min_tokens=1)
    found = passage(text, "tool", policy)
    done = fake().run(Job.of(found, policy.rules, 0.4, None))
    assert not verify(found, done, policy, encoding()).reason
    for entry in json.loads(done.text):
        assert not re.search(r"(?m)^(-|1\.|- Key:)\W*$", entry["body"]), entry["body"]


def test_heads_are_like_other_words_where_nobody_asks_for_them() -> None:
    text = "- Key: the council met about\n> a leaking roof of it\nInes: and nobody was glad\n" * 4
    result = fake().compress(text, 0.3)
    assert result.text == fake().compress(text, 0.3, **dict.fromkeys(LISTS, False)).text
    for name in LISTS:
        assert fake().compress(text, 0.3, **{**LISTS, name: False}).text != result.text
