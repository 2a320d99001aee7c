"""JSON as blocks."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy.messages.structure import is_json, json_blocks
from proxy.types import Mark


def parts(text: str, marks: tuple[Mark, ...]) -> list[str]:
    return [text[m.start : m.end] for m in marks]


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
