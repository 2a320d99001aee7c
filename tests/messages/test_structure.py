"""Code, JSON and tables as blocks."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy.messages.structure import code_blocks, is_json, json_blocks, tables
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


def test_whole_json_is_seen() -> None:
    assert is_json(' {"a": [1, 2.50, null]}\n')
    assert is_json("[]")
    for text in ("", "3", '"a"', "{'a': 1}", '{"a": 1} and', "[1, 2", "[" * 100_000):
        assert not is_json(text)


def test_json_within_prose_is_found() -> None:
    one, two = '{"name": "a } b", "n": [1, {"x": null}]}', '[{"id": 1}, {"id": 2}]'
    text = f'The reply [see "above] was {one}, then {{not}} [1] {two}.'
    assert parts(text, json_blocks(text)) == [one, two]


def test_json_within_brackets_that_are_none_is_found() -> None:
    good = '{"a": "some value"}'
    text = f"[ {good}, {{bad}}, {good} ]"
    assert parts(text, json_blocks(text)) == [good, good]


def test_json_with_numbers_too_large_to_read_is_still_json() -> None:
    text = '{"n": ' + "9" * 5000 + "}"
    assert parts(text, json_blocks(text)) == [text]


values = st.recursive(
    st.none() | st.integers() | st.text(max_size=8),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=4), v, max_size=3),
)


@given(st.lists(st.dictionaries(st.text(min_size=1), values, min_size=1), max_size=4))
def test_every_object_among_words_is_found(objects: list[Any]) -> None:
    pieces = [json.dumps({**o, "padding": "0123456789"}) for o in objects]
    text = "see " + " and so ".join(pieces) + " ."
    assert parts(text, json_blocks(text)) == pieces


@given(st.text('[]{}":,1a\\\n', max_size=60))
def test_found_json_parses_and_does_not_overlap(text: str) -> None:
    end = 0
    for mark in json_blocks(text):
        assert end <= mark.start < mark.end <= len(text)
        json.loads(text[mark.start : mark.end])
        end = mark.end


def test_tables_are_found() -> None:
    for table in (
        "| a | b |\n|---|:-:|\n| 1 | 2 |",
        "a | b\n--- | ---\n1 | 2\n3 | 4",
        "+---+---+\n| a | b |\n+---+---+",
        "name\tage\nAnn\t3\nBob\t4",
        'id,name,price\n1,"Lee, Ann",3.50\n2,Bob,4.00',
        "id;name;price\n1;Ann;3,50\n2;Bob;4,00",
    ):
        text = f"The table:\n\n{table}\n\nSo it is, I think, yes."
        assert parts(text, tables(text)) == [table]


def test_prose_with_commas_is_no_table() -> None:
    line = "Well, I said, we should go home now, if you ask me.\n"
    assert tables(line * 5) == ()
    assert tables("a,b,c\nd,e,f\n") == ()
