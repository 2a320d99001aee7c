"""Markdown's own signs."""

from collections.abc import Callable, Iterator

import pytest

from proxy.messages.markdown import (
    front_matter,
    headings,
    links,
    rules,
)


def found(find: Callable[[str], Iterator[tuple[int, int]]], text: str) -> list[str]:
    return [text[s:e] for s, e in find(text)]


def test_front_matter_opens_a_text() -> None:
    for block in ("---\ntitle: A\ntags: [x]\n---", '+++\ntitle = "A"\n+++', "---\na: b\n..."):
        assert [m.end for m in front_matter(f"{block}\n\n# A\n")] == [len(block)]
    for text in ("---\n\nprose\n---\n", "a\n---\nb: c\n---\n", "---\na: b\nnever closed"):
        assert front_matter(text) == (), text


def test_headings_are_found_with_their_marks() -> None:
    text = "# One\nwords\n## Two ##\n\nThree\n=====\n\nFour of them\n---\n#hash\n#\nlong line\n"
    assert found(headings, text) == ["# One", "## Two ##", "Three\n=====", "Four of them\n---"]


def test_a_line_under_running_text_makes_no_heading_of_it() -> None:
    assert found(headings, "one line\nand another\n---\n\n- item\n---\n") == []


def test_rules_are_found() -> None:
    assert found(rules, "---\n\n* * *\n___\n--\n- - a\n") == ["---", "* * *", "___"]


@pytest.mark.parametrize(
    "link",
    [
        "[the page](https://a.example/b)", '[the page](b/c.md "Title")', "![a map](x_(1).png)",
        "[![state](a.svg)](b)", "[the page][ref]", "[two\nlines](x)", "[^1]", "[the page][]",
    ],
)  # fmt: skip
def test_a_link_is_found_whole(link: str) -> None:
    assert found(links, f"See {link}, or [not] (this).") == [link]


def test_definitions_are_found_and_footnotes_are_not_kept_whole() -> None:
    text = '[ref]: https://a.example "Title"\n[^1]: It was a long time ago.\n'
    assert found(links, text) == ["[^1]", '[ref]: https://a.example "Title"', "[^1]:"]
