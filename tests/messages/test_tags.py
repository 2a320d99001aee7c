"""Tags that say what becomes of a span."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.messages.tags import Tags, read_tags


def texts(text: str, spans: object) -> list[str]:
    return [text[s.start : s.end] for s in spans]  # type: ignore[attr-defined]


def regions(text: str) -> list[tuple[str, float | None]]:
    return [(text[r.start : r.end], r.rate) for r in read_tags(text).regions]


@pytest.mark.parametrize(
    "tag,rate",
    [
        ("<llmlingua>", None),
        ("<llmlingua >", None),
        ("<LLMLingua>", None),
        ("<llmlingua rate=0.3>", 0.3),
        ("<llmlingua, rate=0.3>", 0.3),
        ("<llmlingua,rate=.3,>", 0.3),
        ("<llmlingua rate = '0.3'>", 0.3),
        ('<llmlingua rate="0.3" compress="True">', 0.3),
        ("<llmlingua, rate=0.3, compress=True>", 0.3),
        ("<llmlingua\n  compress=true\n  rate=1>", 1.0),
        ("<llmlingua rate=1.0>", 1.0),
    ],
)
def test_a_tag_names_a_rate(tag: str, rate: float | None) -> None:
    text = f"a {tag}b < c <b>d</b></llmlingua> e"
    assert regions(text) == [("b < c <b>d</b>", rate)]
    assert texts(text, read_tags(text).dropped) == [tag, "</llmlingua>"]


@pytest.mark.parametrize(
    "tag,closing",
    [
        ("<keep>", "</keep>"),
        ("<KEEP >", "</Keep >"),
        ("<llmlingua, compress=False>", "</llmlingua>"),
        ("<llmlingua rate=0.3 compress='false'>", "</llmlingua>"),
    ],
)
def test_a_tag_protects(tag: str, closing: str) -> None:
    text = f"a {tag}b & <i>{closing}"
    tags = read_tags(text)
    assert texts(text, tags.kept) == ["b & <i>"]
    assert tags.regions == ()


@pytest.mark.parametrize(
    "text",
    [
        "a < b and c > d",
        "<keep>never closed",
        "never opened</keep>",
        "<keep/>a",
        "<keep now>a</keep>",
        "<keeper>a</keeper>",
        "<llmlingua rate=0>a</llmlingua>",
        "<llmlingua rate=1.5>a</llmlingua>",
        "<llmlingua rate=-0.5>a</llmlingua>",
        "<llmlingua rate=nan>a</llmlingua>",
        "<llmlingua rate=1e-1>a</llmlingua>",
        "<llmlingua rate=>a</llmlingua>",
        "<llmlingua rate>a</llmlingua>",
        "<llmlingua rate='0.5>a</llmlingua>",
        "<llmlingua rate=0.5 rate=0.6>a</llmlingua>",
        "<llmlingua compress=maybe>a</llmlingua>",
        "<llmlingua colour=red>a</llmlingua>",
        "<llmlingua rate=0.5",
        "< llmlingua>a</llmlingua>",
        "<llmlingua>a</ llmlingua>",
        "<llmlingua" + " " * 300 + ">a</llmlingua>",
        "<llmlingua rate=٠.٥>a</llmlingua>",
    ],
)
def test_a_broken_tag_is_text(text: str) -> None:
    assert read_tags(text) == Tags()


def test_the_innermost_tag_decides() -> None:
    inner = "<llmlingua rate=0.8>b</llmlingua>c<llmlingua>d</llmlingua>"
    text = f"<llmlingua rate=0.3>a{inner}</llmlingua>"
    assert regions(text) == [("a", 0.3), ("b", 0.8), ("c", 0.3), ("d", 0.3)]


def test_nothing_within_keep_is_compressed() -> None:
    text = "<llmlingua rate=0.3>a <keep>b <llmlingua rate=0.1>c</llmlingua></keep> d</llmlingua>"
    tags = read_tags(text)
    assert texts(text, tags.kept) == ["b ", "c"]
    assert len(tags.regions) == 1 and len(tags.dropped) == 6
    whole = tags.regions[0]
    assert text[whole.start : whole.end].startswith("a <keep>b ")
    assert text[whole.start : whole.end].endswith("</keep> d")


def test_tags_that_cross_are_sorted_out() -> None:
    text = "<keep>a<llmlingua rate=0.5>b</keep>c</llmlingua>"
    assert texts(text, read_tags(text).kept) == ["a<llmlingua rate=0.5>b"]
    assert read_tags(text).regions == ()


def test_a_broken_tag_does_not_take_the_end_of_the_one_around() -> None:
    text = "<llmlingua rate=0.5>a <llmlingua rate=9>b</llmlingua> c</llmlingua>"
    assert regions(text) == [("a <llmlingua rate=9>b</llmlingua> c", 0.5)]


PIECES = [
    "<keep>", "</keep>", "<llmlingua>", "</llmlingua>", "<llmlingua rate=0.5>", "<KEEP>",
    "<llmlingua rate=7>", "<llmlingua, rate=0.2, compress=False>", "<", ">", "/", "<keep", "keep>",
    "a", " ", "\n", "<b>",
    "<llmlingua rate='0.1'", "<<keep>>", "</llm", "lingua>", "é",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=30).map("".join))
def test_any_soup_of_tags_is_read(text: str) -> None:
    tags = read_tags(text)
    for spans in (tags.dropped, tags.kept, tags.regions):
        ends = [0, *(span.end for span in spans)]
        assert all(e <= s.start < s.end for e, s in zip(ends, spans, strict=False))
        assert ends[-1] <= len(text)
    dropped = {i for m in tags.dropped for i in range(m.start, m.end)}
    assert not dropped & {i for m in tags.kept for i in range(m.start, m.end)}
    assert len(tags.dropped) % 2 == 0
    for mark in tags.dropped:
        assert text[mark.start] == "<" and text[mark.end - 1] == ">"
    for one, other in pairwise(tags.regions):
        assert text[one.start : one.end] and one.end <= other.start


@pytest.mark.parametrize(
    "unit",
    ["<keep>", "</keep>", "<keep></keep>", "<llmlingua ", "<llmlingua rate=", "<keep><llmlingua>",
     "<llmlingua rate=0.5>a</llmlingua>", "<", "<llmlingua a=b ", "<keep></llmlingua>"],
)  # fmt: skip
def test_a_long_hostile_text_is_read_in_linear_time(unit: str) -> None:
    read_tags(unit * 10_000)


def test_a_deep_nest_of_tags_is_read() -> None:
    assert len(read_tags("<keep>" * 10_000 + "</keep>" * 10_000).dropped) == 20_000
