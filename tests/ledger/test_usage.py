"""What upstreams count is read from the ends of their answers, in every shape, however cut."""

from __future__ import annotations

import gzip
import json
import zlib
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.ledger.usage import Usage, UsageReader

CHAT = {
    "prompt_tokens": 1200,
    "completion_tokens": 30,
    "total_tokens": 1230,
    "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
}
RESPONSES = {
    "input_tokens": 1200,
    "input_tokens_details": {"cached_tokens": 1024},
    "output_tokens": 30,
}
ANTHROPIC = {"input_tokens": 100, "cache_read_input_tokens": 1024, "output_tokens": 1}
ANTHROPIC |= {"cache_creation_input_tokens": 76}
FULL = Usage(1200, 1024, 30)
LONG = 'He said "usage": {"prompt_tokens": 1} and more. ' * 2_000


def events(*values: Any) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps(v).encode() for v in values) + b"data: [DONE]\n\n"


def chunk(usage: Any = None, text: str = "") -> dict[str, Any]:
    return {"choices": [{"delta": {"content": text}}], "usage": usage}


SHAPES: dict[str, tuple[bytes, Usage]] = {
    "chat": (
        json.dumps({"choices": [{"message": {"content": LONG}}], "usage": CHAT}).encode(),
        FULL,
    ),
    "chat, indented": (
        json.dumps({"id": "x", "usage": CHAT, "tier": None}, indent=2).encode(),
        FULL,
    ),
    "chat stream": (events(*[chunk(text=LONG[:50])] * 500, {"choices": [], "usage": CHAT}), FULL),
    "a count in each chunk": (
        events(chunk({"prompt_tokens": 1200, "completion_tokens": 1}), chunk(CHAT)),
        FULL,
    ),
    "deepseek": (
        json.dumps({"usage": {"prompt_tokens": 9, "prompt_cache_hit_tokens": 4}}).encode(),
        Usage(9, 4, 0),
    ),
    "no cache told": (
        json.dumps({"usage": {"prompt_tokens": 9, "completion_tokens": 2}}).encode(),
        Usage(9, None, 2),
    ),
    "responses": (json.dumps({"output": [LONG], "usage": RESPONSES, "user": None}).encode(), FULL),
    "responses stream": (
        events(*[{"delta": LONG[:99]}] * 300, {"response": {"output": [], "usage": RESPONSES}}),
        FULL,
    ),
    "messages": (
        json.dumps({"content": [LONG], "usage": {**ANTHROPIC, "output_tokens": 30}}).encode(),
        FULL,
    ),
    "messages stream": (
        events(
            {"type": "message_start", "message": {"content": [], "usage": ANTHROPIC}},
            *[{"type": "content_block_delta", "delta": {"text": LONG[:90]}}] * 300,
            {"type": "message_delta", "usage": {"output_tokens": 30}},
        ),
        FULL,
    ),
}


def read(body: bytes, cuts: list[int], coding: str = "") -> Usage | None:
    reader = UsageReader(coding)
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    for start, end in pairwise(places):
        reader.feed(body[start:end])
    return reader.usage()


cuts = st.lists(st.integers(0, 1 << 20), max_size=12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("coding", ["", "gzip", "deflate"])
@given(cuts=cuts)
def test_usage_is_found_however_the_answer_is_cut(shape: str, coding: str, cuts: list[int]) -> None:
    body, usage = SHAPES[shape]
    sent = {"gzip": gzip.compress, "deflate": zlib.compress}.get(coding, bytes)(body)
    assert read(sent, cuts, coding) == usage


@given(st.binary(max_size=200), cuts, st.sampled_from(["", "gzip", "deflate", "br"]))
def test_any_bytes_are_fine(body: bytes, cuts: list[int], coding: str) -> None:
    assert read(body, cuts, coding) is None
    read(b'{"usage": {' + body, cuts, coding)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        events(chunk(text="hello"), chunk()),
        b'{"usage": null}',
        b'{"usage": {"prompt_tokens": "9"}}',
        b'{"usage": {"prompt_tokens": true}}',
        b'{"usage": {"prompt_tokens": -1}}',
        b'{"usage": {"prompt_tokens": 1000000000000000000000000}}',
        b'{"usage": {"prompt_tokens": 9',
        json.dumps({"content": LONG}).encode(),  # only spoken of
    ],
)
def test_an_answer_that_tells_nothing(body: bytes) -> None:
    assert read(body, [5]) is None


def test_only_the_ends_are_kept() -> None:
    reader = UsageReader()
    for _ in range(10_000):
        reader.feed(b"x" * 100)
    assert sum(map(len, reader._chunks)) + len(reader._head) < 25_000


def test_what_inflates_without_end_is_left_unread() -> None:
    bomb = gzip.compress(bytes(200_000_000), 1)
    reader = UsageReader("gzip")
    reader.feed(bomb)
    assert reader._inflated < 70_000_000
    assert reader.usage() is None
