"""Code as blocks."""

from proxy.messages.code import code_blocks
from proxy.types import Mark


def parts(text: str, marks: tuple[Mark, ...]) -> list[str]:
    return [text[m.start : m.end] for m in marks]


def test_fenced_blocks_are_found_with_their_fences() -> None:
    one, two = "```python\nx = 1\n```", "~~~\n```\nno end\n```\n~~~"
    text = f"See\n{one}\nand\n\n{two}\nend"
    assert parts(text, code_blocks(text)) == [one, two]


def test_longer_fence_holds_shorter_ones() -> None:
    block = "````md\n```\na\n```\n````"
    assert parts(block, code_blocks(block)) == [block]


def test_open_fence_runs_to_the_end() -> None:
    text = "see\r\n```\r\nx = 1\r\n\r\ny"
    assert parts(text, code_blocks(text)) == ["```\r\nx = 1\r\n\r\ny"]


def test_backticks_within_a_line_open_no_fence() -> None:
    assert code_blocks("```a``` is code\nand this is prose") == ()


def test_indented_code_is_found_and_indented_prose_is_not() -> None:
    code = "    def f(x):\n        return x + 1\n\n    print(f(2))"
    text = f"Look:\n\n{code}\n\nThat is all."
    assert parts(text, code_blocks(text)) == [code]
    assert code_blocks("A quote:\n\n    We met again in June and\n    spoke of old days.\n") == ()
