"""Marks and keys of lists' items, and what stands under them."""

from __future__ import annotations

import pytest

from proxy.compress.items import is_mark, items, quoted_lines


def heads(text: str) -> list[tuple[str, str]]:
    return [(text[s:e], text[e:stop].strip()) for s, e, stop in items(text, keys=True)]


def test_list_marks_are_found() -> None:
    text = "- a\n  * b\n+ c\n1. d\n10) e\n(a) f\n- [ ] g\n* [x] h\n> - i\n-j\n3.5 is\n"
    marks = ["-", "*", "+", "1.", "10)", "(a)", "- [ ]", "* [x]", "-"]
    assert [text[s:e] for s, e, _ in items(text, keys=False)] == marks
    assert all(is_mark(mark) for mark in marks)


@pytest.mark.parametrize(
    "head",
    [
        "- Key:", "* Name of the key:", "- **Key**:", "- **Key:**", "1. **Which one?**",
        "- **Only in bold.**", "- Key -", "- **Nora Falk** -", "- the well-known man –", "+ `key`:",
        "- [x] Done:", "a) Part, the first:", "- __Key__:", "- Wer zahlt —",
    ],
)  # fmt: skip
def test_a_key_is_found_with_its_mark(head: str) -> None:
    text = f"Some words.\n{head} a value - with more: of it\n  and more\n"
    assert heads(text) == [(head, "a value - with more: of it\n  and more")]
    assert not is_mark(head)


@pytest.mark.parametrize(
    "item",
    [
        "He said that it was all right: it is", "see http://a.example/b", "at 10:30 or 11:00",
        "Really? Yes: really", "well-known", "**bold** words", "`code` and words",
        "One. Two: three",
    ],
)  # fmt: skip
def test_other_items_have_no_key(item: str) -> None:
    assert heads(f"- {item}") == [("-", item)]


def test_a_mark_stands_over_its_paragraph_and_a_key_over_the_items_further_in() -> None:
    text = "- a\n  b\n\n  c\n- Fruit:\n  - d\n  - Big ones:\n    - e\n\n  - f\n- g\n\nh: i"
    assert heads(text) == [
        ("-", "a\n  b"), ("- Fruit:", "- d\n  - Big ones:\n    - e\n\n  - f"), ("-", "d"),
        ("- Big ones:", "- e"), ("-", "e"), ("-", "f"), ("-", "g"),
    ]  # fmt: skip


def test_quoted_lines_are_found() -> None:
    text = "> a\n>> b c\n> > d\n5 > 3\n>\n"
    found = [(text[s:e], text[e:stop]) for s, e, stop in quoted_lines(text)]
    assert found == [(">", " a"), (">>", " b c"), ("> >", " d"), (">", "")]


@pytest.mark.parametrize(
    "unit", ["- a: b\n", "- ", "\n- ", "- a, b ", "- **a", "- `a", "> ", "1. ", " - a:\n", "\n> \n"]
)
def test_items_are_found_in_linear_time(unit: str) -> None:
    text = unit * (300_000 // len(unit))
    assert len(list(items(text, keys=True))) + len(list(quoted_lines(text))) >= 0


def test_deep_lists_are_read_in_linear_time() -> None:
    text = "".join(" " * (i % 24) + "- a b:\n" for i in range(20_000))
    assert len(list(items(text, keys=True))) == 20_000
