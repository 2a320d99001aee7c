"""What the gate lets through, and what it puts back."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import gate
from proxy.config_policy import Policy
from proxy.tokens import encoding
from proxy.types import Compressed, Escape, Mark, Passage, Span

TEXT = "keep 42 of the many words"


PLAIN = Policy(protect=(), force_reserve_digit=False)


def verify(passage: Passage, result: Compressed, policy: Policy = PLAIN) -> Compressed:
    return gate.verify(passage, result, policy, encoding())


def passage(text: str = TEXT, *, intact: tuple[Mark, ...] = (), reason: str = "") -> Passage:
    return Passage(0, None, "user", text, intact, (Mark(5, 7, "number"),), reason)


COUNT = encoding().count


def kept(
    text: str, *spans: Span, before: int | None = None, after: int | None = None
) -> Compressed:
    """What an honest compressor would give back, but for what is said otherwise."""
    rest = "".join(text[s:e] for s, e in spans)
    counted = (COUNT(text) if before is None else before, COUNT(rest) if after is None else after)
    return Compressed(rest, spans, *counted, "", "fake")


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
        (kept(TEXT, (0, 8), after=10, before=9), "gate: larger"),
        (kept(TEXT, (0, 8), after=-1), "gate: larger"),
        (replace(kept(TEXT, (0, 8)), reason="short"), "gate: untouched"),
        (kept(TEXT, (0, 8), after=2), "gate: count"),
        (kept(TEXT, (0, 8), after=7), "gate: count"),
        (kept(TEXT, (0, 25), after=4), "no saving"),
    ],
)
def test_a_broken_result_is_replaced_by_the_original(result: Compressed, reason: str) -> None:
    back = verify(passage(), result)
    assert (back.text, back.kept, back.reason) == (TEXT, ((0, 25),), reason)
    assert back.tokens_after == back.tokens_before
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
    unchanged = replace(kept(TEXT, (0, 25)), reason="deadline")
    assert verify(tagged, unchanged) is unchanged


def test_a_passage_to_leave_alone_is_left_alone() -> None:
    back = verify(replace(passage(reason="role"), forced=()), kept(TEXT, (0, 8)))
    assert back.reason == "gate: untouched"
    assert back.text == TEXT


def test_a_text_is_never_emptied() -> None:
    back = verify(Passage(0, None, "user", "a b"), kept("a b", (1, 2)))
    assert back.reason == "gate: empty"


def test_an_unchanged_result_keeps_its_reason() -> None:
    result = replace(kept(TEXT, (0, 25)), reason="short")
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


@pytest.mark.parametrize(
    "text,dropped,name",
    [
        ("a 3 and 5 b", " and ", "words"),
        ("somewhere else", "where", "words"),
        ("we have no money and 1.5 tons", "no ", "negations"),
        ("they mayn't come, or may they?", "n't", "negations"),
        ("WITHOUT any of that", "WITHOUT ", "negations"),
        ("it is 1.5 tons of it", ".", "digits"),
        ("one 2 three", "2 ", "digits"),
        ("<b>so</b> it is", "</b>", "tags"),
        ("if a <all, b> c", ", b", "tags"),
        ("x\n```\ny\n```\nz", "```\nz", "fences"),
        ("x\nso ```\ny", "so ", "fences"),
        ('x\n{"a": 1, "b": "so long"}\ny', ', "b": "so long"', "json"),
        ('x\n{"a": 1, "b": "so long"}\ny', '"a"', "json"),
    ],
)
def test_what_a_policy_promises_is_looked_for_in_the_text_itself(
    text: str, dropped: str, name: str
) -> None:
    at = text.index(dropped)
    spans = [(0, at), (at + len(dropped), len(text))]
    result = kept(text, *(span for span in spans if span[0] < span[1]))
    assert verify(Passage(0, None, "user", text), result, Policy()).reason == f"gate: {name}"


@pytest.mark.parametrize(
    "least,pays", [(0, True), (0.3, True), (0.6, False), (3, True), (4, False)]
)
def test_a_minimum_saving_is_a_share_or_a_number_of_tokens(least: float, pays: bool) -> None:
    result = kept(TEXT, (0, 8))  # 4 tokens of 7
    policy = Policy(min_saving=least, protect=(), force_reserve_digit=False)
    assert verify(passage(), result, policy).reason == ("" if pays else "no saving")


def test_what_must_go_goes_however_little_it_saves() -> None:
    tagged = replace(passage(), dropped=(Mark(8, 11, "tag"),))
    result = kept(TEXT, (0, 8), (11, 25))
    assert verify(tagged, result, Policy(min_saving=50, protect=())) is result


def test_escapes_count_as_the_characters_they_stand_for() -> None:
    text = r'{"a": "so\nor \u00e9t it\nnow"}'
    escapes = [Escape(m.start(), m.end(), json.loads(f'"{m[0]}"')) for m in ESCAPE.finditer(text)]
    found = Passage(0, None, "tool", text, escapes=tuple(escapes))

    def cut(what: str) -> Compressed:
        at = text.index(what)
        return verify(found, kept(text, (0, at), (at + len(what), len(text))), Policy())

    # "\nor" is a line end and "or", and no "nor"; the digits of "\u00e9" are none.
    assert cut(r"\nor").reason == ""
    assert cut(r" \u00e9t").reason == ""
    assert cut(r"\nno").reason == "gate: words"
    assert cut(r"u00e9").reason == "gate: json"


ESCAPE = re.compile(r"\\(?:u[0-9a-f]{4}|.)")
