"""Where the contexts of a text begin and end, and which of them must stay."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config import Policy
from proxy.messages.contexts import contexts
from proxy.messages.segment import passage
from proxy.types import Passage

PROSE = "The council met on Monday and heard three reports about the roof of the library. " * 6
POLICY = Policy(context_rate=0.5)


def pieces(text: str) -> list[str]:
    return [text[s:e].strip() for s, e in contexts(text)]


@pytest.mark.parametrize(
    "text,found",
    [
        ("a\n\nb\n \n\nc\n", ["a", "b", "c"]),
        ("x\nDocument 1: a\n\nb\nDocument 2: c", ["Document 1: a\n\nb", "Document 2: c"]),
        ("Document [1](Title: A) a\nDocument [2](Title: B) b",
         ["Document [1](Title: A) a", "Document [2](Title: B) b"]),
        ("### Passage 1\na\n### Passage 2\nb", ["### Passage 1\na", "### Passage 2\nb"]),
        ("in\n<document id='1'>a\n\nb</document>\n<document>c</document>\nout",
         ["<document id='1'>a\n\nb</document>", "<document>c</document>"]),
        ("<doc>a <source>b</source></doc><doc>c</doc>",
         ["<doc>a <source>b</source></doc>", "<doc>c</doc>"]),
        ("a\n---\nb\n\nc\n---\nd", ["---\nb\n\nc", "---\nd"]),
        ("one paragraph\nof two lines", []),
        ("", []),
    ],
)  # fmt: skip
def test_documents_or_paragraphs_are_found(text: str, found: list[str]) -> None:
    assert pieces(text) == found


def stays(result: Passage) -> list[bool]:
    return [context.stays for context in result.contexts]


def test_a_context_with_the_question_never_goes() -> None:
    text = f"{PROSE}\n\n{PROSE}\n\nWhat did they decide about the roof?"
    assert stays(passage(text, "user", POLICY))[-1]
    assert not any(stays(passage(text, "tool", POLICY)))


def test_named_places_stay() -> None:
    policy = Policy(context_rate=0.5, force_context_ids=(1, 7))
    assert stays(passage(f"{PROSE}\n\n{PROSE}\n\n{PROSE}", "tool", policy)) == [False, True, False]


def test_unbalanced_markup_stays() -> None:
    text = f"<div>{PROSE}\n\n<p>{PROSE}<br></p>\n\n{PROSE}</div>"
    assert stays(passage(text, "tool", POLICY)) == [True, False, True]


def test_a_block_with_empty_lines_is_not_cut() -> None:
    text = f"{PROSE}\n\n```\na = 1\n\nb = 2\n```\n\n{PROSE}"
    found = passage(text, "tool", POLICY).contexts
    assert [text[c.start : c.end].strip()[:3] for c in found] == ["The", "```", "The"]


def test_without_the_filter_there_are_no_contexts() -> None:
    text = f"{PROSE}\n\n{PROSE}"
    assert passage(text, "tool", Policy()).contexts == ()
    assert passage(text, "tool", Policy(use_context_level_filter=True)).contexts
    off = Policy(use_context_level_filter=False, context_rate=0.5)
    assert passage(text, "tool", off).contexts == ()


snippets = st.sampled_from(
    ["word ", "\n", "\n\n", "<document>", "</document>", "<p>", "</p>", "Document 1: ", "---\n",
     "```\n", '{"a": "some value"}', "not ", "5 ", '"q" ', "Question: "]
)  # fmt: skip


@given(st.lists(snippets, max_size=40).map("".join), st.sampled_from(["user", "tool"]))
def test_contexts_are_sorted_disjoint_and_cut_no_mark(text: str, role: str) -> None:
    found = passage(text, role, POLICY)
    spans = [(c.start, c.end) for c in found.contexts]
    assert all(0 <= s < e <= len(text) for s, e in spans)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    for mark in (*found.intact, *found.forced):
        for s, e in spans:
            assert e <= mark.start or mark.end <= s or (s <= mark.start and mark.end <= e)


@pytest.mark.parametrize(
    "unit", ["<doc>", "</doc>", "Document 1:\n", "---\n", "a\n\n", "\n", "<p>"]
)
def test_a_long_adversarial_text_is_split_in_linear_time(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    assert passage(text, "tool", POLICY).text is text
