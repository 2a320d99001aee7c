"""What the gate lets through, and what it puts back."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.gate import verify
from proxy.types import Compressed, Mark, Passage, Span

TEXT = "keep 42 of the many words"


def passage(text: str = TEXT, *, intact: tuple[Mark, ...] = (), reason: str = "") -> Passage:
    return Passage(0, None, "user", text, intact, (Mark(5, 7, "number"),), reason)


def kept(text: str, *spans: Span, before: int = 9, after: int = 4) -> Compressed:
    return Compressed("".join(text[s:e] for s, e in spans), spans, before, after, "", "fake")


def test_a_sound_result_passes_as_it_is() -> None:
    result = kept(TEXT, (0, 8), (15, 25))
    assert verify(passage(), result) is result


def test_a_mark_across_two_kept_spans_that_touch_is_kept() -> None:
    result = kept(TEXT, (0, 6), (6, 8))
    assert verify(passage(), result) is result


@pytest.mark.parametrize(
    "result,reason",
    [
        (kept(TEXT, (0, 4)), "gate: protected"),
        (kept(TEXT, (0, 6), (8, 11)), "gate: protected"),
        (kept(TEXT, (8, 11), (0, 8)), "gate: mask"),
        (kept(TEXT, (0, 8), (7, 11)), "gate: mask"),
        (kept(TEXT, (0, 8), (9, 9)), "gate: mask"),
        (kept(TEXT, (-25, -17)), "gate: mask"),
        (kept(TEXT, (0, 99)), "gate: mask"),
        (replace(kept(TEXT, (0, 8)), text="keep 43 "), "gate: text"),
        (kept(TEXT, (0, 8), after=10), "gate: larger"),
        (kept(TEXT, (0, 8), after=-1), "gate: larger"),
        (replace(kept(TEXT, (0, 8)), reason="short"), "gate: untouched"),
        (kept(TEXT, (0, 8), after=9), "no saving"),
        (kept(TEXT, (0, 25), after=4), "no saving"),
    ],
)
def test_a_broken_result_is_replaced_by_the_original(result: Compressed, reason: str) -> None:
    back = verify(passage(), result)
    assert (back.text, back.kept, back.reason) == (TEXT, ((0, 25),), reason)
    assert back.tokens_after == back.tokens_before == 9
    assert back.model == "fake"


def test_an_intact_block_must_be_whole() -> None:
    block = Mark(8, 20, "question")
    back = verify(passage(intact=(block,)), kept(TEXT, (0, 8), (15, 25)))
    assert back.reason == "gate: protected"


def test_what_must_go_is_gone_from_a_changed_text() -> None:
    tagged = replace(passage(), dropped=(Mark(8, 10, "tag"), Mark(11, 14, "tag")))
    for spans in [(0, 9), (14, 25)], [(0, 8), (10, 12)], [(0, 25)]:
        assert verify(tagged, kept(TEXT, *spans)).reason == "gate: dropped"
    result = kept(TEXT, (0, 8), (10, 11), (14, 25))
    assert verify(tagged, result) is result
    unchanged = replace(kept(TEXT, (0, 25), after=9), reason="deadline")
    assert verify(tagged, unchanged) is unchanged


def test_a_passage_to_leave_alone_is_left_alone() -> None:
    back = verify(replace(passage(reason="role"), forced=()), kept(TEXT, (0, 8)))
    assert back.reason == "gate: untouched"
    assert back.text == TEXT


def test_a_text_is_never_emptied() -> None:
    back = verify(Passage(0, None, "user", "a b"), kept("a b", (1, 2)))
    assert back.reason == "gate: empty"


def test_an_unchanged_result_keeps_its_reason() -> None:
    result = replace(kept(TEXT, (0, 25), after=9), reason="short")
    assert verify(passage(), result) is result


def test_an_empty_text_passes() -> None:
    result = Compressed("", (), 0, 0, "empty")
    assert verify(Passage(0, None, "user", ""), result) is result


JSON = '{"id": 7, "body": "a long story", "rest": [1.50, null, {"k": "7"}]}'


def without(part: str) -> Compressed:
    at = JSON.index(part)
    return kept(JSON, (0, at), (at + len(part), len(JSON)))


def test_json_whose_strings_became_shorter_passes() -> None:
    result = without("long ")
    assert verify(Passage(0, None, "tool", JSON), result) is result


@pytest.mark.parametrize(
    "part", ['"id": 7, ', "7", ".50", "null, ", '{"k": "7"}', "}", "d", ", null", '"', "0"]
)
def test_json_that_lost_anything_else_does_not(part: str) -> None:
    assert verify(Passage(0, None, "tool", JSON), without(part)).reason == "gate: json"


def test_deep_json_does_not_break_the_gate() -> None:
    text = "[" * 5000 + "1" + "]" * 5000
    assert verify(Passage(0, None, "tool", text), kept(text, (0, 9))).text == text[:9]


@given(st.data())
def test_no_mask_that_breaks_a_rule_passes(data: st.DataObject) -> None:
    text = data.draw(st.text("ab 1\n", min_size=1, max_size=12))
    span = st.tuples(st.integers(-2, 14), st.integers(-2, 14))
    spans = tuple(data.draw(st.lists(span, max_size=4)))
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    mark = Mark(start, end, "quote")
    given_passage = Passage(0, None, "user", text, (), (mark,))
    result = verify(given_passage, kept(text, *spans))
    positions = [i for s, e in result.kept for i in range(s, e)]
    assert positions == sorted(set(positions)) and set(positions) <= set(range(len(text)))
    assert result.text == "".join(text[i] for i in positions)
    assert set(range(start, end)) <= set(positions)
    assert (result.text == text) == bool(result.reason)
