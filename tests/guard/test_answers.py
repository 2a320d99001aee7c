"""What a model said, from whole answers and streams of every shape, and how far two agree."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.guard.answers import Said, read
from proxy.guard.compare import exact, f1, question, verdict
from tests.servers import shapes
from tests.servers.recorder import Reply

PATHS = ("/chat/completions", "/completions", "/responses", "/messages")
TOOLS = [{"name": "look_up", "arguments": {"b": [1, 2], "a": "x"}}]


def answer(path: str, stream: bool, **how: Any) -> bytes:
    asked = {"model": "m", "stream": stream, "messages": [], "input": "x", "prompt": "x"}
    return b"".join(shapes.usual("POST", f"/v1{path}", asked, Reply(**how))[0])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", PATHS)
def test_the_text_is_read(path: str, stream: bool) -> None:
    said = read(answer(path, stream, content="Häuser cost 12 €.\nAll of them."))
    assert said == Said("Häuser cost 12 €.\nAll of them.")


@pytest.mark.parametrize("path", PATHS)
def test_a_stream_is_cut_at_its_own_line_ends_alone(path: str) -> None:
    """JSON's strings may hold separators that end lines elsewhere, as they are."""
    words = "One\u2028two\u2029three\u0085four"
    lines = answer(path, True, content="here").decode().replace("here", words)
    for end in ("\n", "\r\n", "\r"):
        assert read(lines.replace("\n", end).encode()) == Said(words)


@pytest.mark.parametrize("path", [p for p in PATHS if p != "/completions"])
def test_calls_of_tools_are_read_the_same_whole_and_streamed(path: str) -> None:
    whole, streamed = (read(answer(path, stream, tool_calls=TOOLS)) for stream in (False, True))
    assert whole is not None and streamed is not None
    assert whole.calls == streamed.calls == (("look_up", '{"a": "x", "b": [1, 2]}'),)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"null", b"data: {", b'{"choices":[]}', b'{"error":{}}', b"\xff",
             b'{"choices":[{"message":{"content":null}}]}', b"data: [DONE]\n\n"]
)  # fmt: skip
def test_what_is_no_answer_is_none(body: bytes) -> None:
    assert read(body) is None


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(body: bytes) -> None:
    read(body)
    read(b"data: " + body)


def test_words_that_both_have_count() -> None:
    assert f1(Said("The budget is 12 million."), Said("the Budget: 12 million")) == pytest.approx(
        8 / 9
    )
    assert f1(Said("yes"), Said("no")) == 0
    assert f1(Said("会議は金曜日"), Said("会議は月曜日")) == pytest.approx(10 / 12)
    assert f1(Said("!"), Said("?")) == 0


texts = st.text(max_size=60).map(Said)


@given(texts, texts)
def test_agreement_is_a_share_and_the_same_both_ways(one: Said, other: Said) -> None:
    for measure in (exact, f1):
        assert 0 <= measure(one, other) == measure(other, one) <= 1
        assert measure(one, one) == 1


def test_calls_have_to_be_the_same_whatever_is_said_beside_them() -> None:
    one = Said("I look it up.", (("look_up", '{"a": 1}'),))
    assert f1(one, Said("Looking.", one.calls)) == 1
    assert f1(one, Said("I look it up.", (("look_up", '{"a": 2}'),))) == 0
    assert exact(one, Said("I look it up.")) == 0


@pytest.mark.parametrize(
    "said,score",
    [("7", 0.7), ("10", 1.0), (" 0.\n", 0.0), ("Score: 8 of 10", 0.8), ("8.5", 0.85),
     ("2024", None), ("none", None)],
)  # fmt: skip
def test_a_judges_number_is_found(said: str, score: float | None) -> None:
    assert verdict(Said(said)) == score


def test_a_judge_is_asked_in_one_message() -> None:
    asked = json.loads(question("judge", Said("A {first}"), Said("B")))
    assert asked["model"] == "judge"
    assert "A {first}" in asked["messages"][0]["content"]
