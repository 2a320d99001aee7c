"""Fences stay fences, and nothing else becomes one."""

from __future__ import annotations

import pytest

from proxy.messages.fences import fence_lines, other_runs


def marked(text: str, found: object) -> list[str]:
    return [text[mark.start : mark.end] for mark in found]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text,lines",
    [
        ("a\n```python\nx\n```\nb", ["```python", "```"]),
        ("~~~~ sh\nx\n~~~\n~~~~\n", ["~~~~ sh", "~~~~"]),
        ("> ```\n> x\n> ```", ["> ```", "> ```"]),
        ("```\nnever closed\n", ["```"]),
        ("``` closed `on its line` ```", []),
        ("no fence", []),
    ],
)
def test_the_lines_that_open_and_close_are_found(text: str, lines: list[str]) -> None:
    assert marked(text, fence_lines(text)) == lines


@pytest.mark.parametrize(
    "text,runs",
    [
        ("see ``` here", ["e ```"]),
        ("a >  ~~~ b", ["a >  ~~~"]),
        ("x\n  ``` no `fence` \r\ny", ["``` no `fence`"]),
        ("nothing", []),
    ],
)
def test_other_runs_are_kept_with_what_makes_them_no_fence(text: str, runs: list[str]) -> None:
    assert marked(text, other_runs(text)) == runs
