"""Cutting requests into passages."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config_policy import Policy
from proxy.messages.body import parse
from proxy.messages.segment import passage, segment
from proxy.types import Mark, Passage

POLICY = Policy.model_validate({})
EVERYONE = Policy.model_validate(
    {"roles": ["system", "developer", "user", "assistant", "tool", "function"]}
)
PROSE = "The council met on Monday and heard three reports about the roof of the library. " * 12


def cut(*messages: Any, policy: Policy = POLICY) -> tuple[Passage, ...]:
    return segment(parse(json.dumps({"model": "m", "messages": messages}).encode()), policy)


def reasons(marks: tuple[Mark, ...]) -> list[str]:
    return [m.reason for m in marks]


def test_every_text_of_every_message_has_a_passage() -> None:
    image = {"type": "image_url", "image_url": {"url": "u"}}
    passages = cut(
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [image, {"type": "text", "text": PROSE}]},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "content": '{"a": 1}', "tool_call_id": "x"},
        {"role": "user", "content": " \n"},
    )
    assert [(p.message, p.part, p.role, p.reason) for p in passages] == [
        (0, None, "system", "role"),
        (1, 1, "user", ""),
        (3, None, "tool", "json"),
        (4, None, "user", "empty"),
    ]


def test_tool_results_ask_nothing() -> None:
    text = f"{PROSE}\n\nWho pays?"
    assert reasons(passage(text, "tool", POLICY).intact) == []
    assert "question" in reasons(passage(text, "user", POLICY).intact)


def test_question_all_leaves_the_user_alone() -> None:
    policy = Policy.model_validate({"question": "all", "roles": ["user", "system", "tool"]})
    assert passage(PROSE, "user", policy).reason == "question"
    assert passage(PROSE, "tool", policy).reason == ""
    assert reasons(passage(f"{PROSE}\n\nBe brief.", "system", policy).intact)[-1] == "question"


def test_question_none_keeps_no_question() -> None:
    policy = Policy.model_validate({"question": "none"})
    assert passage(f"Who pays?\n\n{PROSE}", "user", policy).intact == ()


def test_classes_that_the_policy_does_not_name_are_not_protected() -> None:
    policy = Policy.model_validate({"question": "none", "protect": []})
    text = PROSE + '\n```\nx = 1\n```\n{"a": "some value"} not 5 "so"\n\na\tb\nc\td\ne\tf'
    bare = passage(text, "user", policy)
    assert (bare.forced, bare.reason) == ((), "")
    assert [text[mark.start : mark.end] for mark in bare.intact] == ["```", "```"]
    assert passage('{"a": 1}', "user", policy).reason == ""


@pytest.mark.parametrize(
    "text,reason",
    [
        ("```\nx = 1\n```", "code"),
        ('{"a": "some value"}\n{"a": "another value"}', "json"),
        ("a\tb\nc\td\ne\tf", "table"),
        ("```\n" + "x = 1\n" * 50 + "```\n\nWhat is wrong here?", "code"),
    ],
)
def test_a_text_that_is_all_one_thing_is_left_alone(text: str, reason: str) -> None:
    assert passage(text, "user", POLICY).reason == reason


def test_short_message_is_left_alone_as_a_question() -> None:
    assert passage("Who pays for the roof?", "user", POLICY).reason == "question"


def test_a_number_cut_by_a_question_is_still_protected() -> None:
    text = f"{PROSE}\n\nIs it\n\n12 March"
    whole = passage(text, "user", POLICY)
    covered = {i for m in (*whole.intact, *whole.forced) for i in range(m.start, m.end)}
    assert set(range(text.index("12 March"), len(text))) <= covered


snippets = st.sampled_from(
    ["Question: ", "## Task\n", "<query>", "</query>", "```\n", "~~~", "    x = f(1)\n", "`a`", '"',
     "'", "“q”", "\n", "\n\n", "\r\n", " ", ". ", "? ", "？", "not ", "5", "$3.50 ", "http://a.b/c",
     "a@b.io ", "/usr/bin ", '{"a": "some value"}', "[1, 2", "]", "{", "| a | b |\n", "|---|---|\n",
     "a,b,c\n", "a\tb\n", "<b>", "word ", "Answer:", "中文", "\ud800", "\x00", "é", "don't ",
     "- x\n", "# H\n", "> ", "@@ -1 +1 @@\n-a\n+b\n", "diff --git a/x b/x\n",
     "    at f (a.js:1:2)\n",
     "Traceback (most recent call last):\n", '  File "a.py", line 1\n', "From: a\nSubject: b\n",
     "2025-01-01 10:00:00 INFO a\n", "-- \n", "---\na: b\n---\n", "[a](b)", "&amp;", "a  b  c\n",
     "<pre>", "</pre>", "<h1>a</h1>"]
)  # fmt: skip
jumbles = st.lists(snippets | st.text(max_size=5), max_size=30).map("".join)
roles = st.sampled_from(["system", "developer", "user", "assistant", "tool", "function"])


@given(jumbles, roles)
def test_marks_are_sorted_disjoint_and_within_the_text(text: str, role: str) -> None:
    result = passage(text, role, EVERYONE)
    for marks in (result.intact, result.forced):
        ends = [0, *(m.end for m in marks)]
        assert all(e <= m.start < m.end for e, m in zip(ends, marks, strict=False))
        assert ends[-1] <= len(text)
    both = sorted((m.start, m.end) for m in (*result.intact, *result.forced))
    assert all(a[1] <= b[0] for a, b in pairwise(both))
    assert not (result.reason and both)


@given(st.lists(st.tuples(roles, jumbles), min_size=1, max_size=5))
def test_a_passage_depends_on_its_message_alone(turns: list[tuple[str, str]]) -> None:
    messages = [{"role": role, "content": text} for role, text in turns]
    for index, one in enumerate(cut(*messages, policy=EVERYONE)):
        (alone,) = cut(messages[index], policy=EVERYONE)
        assert (one.text, one.intact, one.forced, one.reason) == (
            alone.text,
            alone.intact,
            alone.forced,
            alone.reason,
        )


DENSE = (
    "1 ",
    "[1",
    '[1\\"',
    '{"a":',
    '{"a":"\\',
    "[1,1,x]",
    "`a``b",
    "```\n",
    "Q: a\n",
    "<task>",
    "no ",
    "<h1>a",
    "> > a\n",
    "- a\n\n",
    "a  b c d e f g\n",
    "From: a\n",
    "[a]: b\n",
    "&amp;",
    "# a\n",
)


@pytest.mark.parametrize(
    "unit",
    ["a", "1 ", "\n", "[1", '[1\\"', '{"a":', '{"a":"\\', "[1,1,x]", "`a``b", "```\n", "Q: a\n",
     "Question: ", "<task>", "<a b='", "a-", "a.", "a@", "www.", "http://(", "/", "|a|\n", "a\tb\n",
     "a,b,c\n", "? ", "“", "'a ", "no ", "中？", "    x=1\n", " ", "\ud800", "1:1:", "- a\n\n",
     "@@ -1,9 +1,9 @@\n", "diff --git a/x b/x\n", "*** Begin Patch\n", "    at a(b.js:1:1)\n",
     "    at a.", "Error: ", "----", 'Traceback (most recent call last):\n  File "a", line 1\n',
     "2025-01-01 10:00:00 ", "2025-01-01 10:00:00 INFO a\n", "From: a\n", "X-a: b\n c\n",
     "On a ", "--", "> > a\n", "# a\n", "---\na: b\n", "[", "[a](b", "[a]: b\n", "<", "<pre>",
     "<h1>a", "&amp;", "a  b  c\n", "a  b c d e f g\n", "_ _ "],
)  # fmt: skip
def test_a_long_adversarial_text_is_cut_in_linear_time(unit: str) -> None:
    """A quadratic rule would take hours for the million characters, so the test would not end.

    Units that yield a mark every few characters get fewer of them: marks take time, too.
    """
    size = 100_000 if unit in DENSE else 1_000_000
    text = unit * (size // len(unit))
    assert passage(text, "user", POLICY).text is text
