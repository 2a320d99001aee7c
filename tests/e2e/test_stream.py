"""Streams: relayed piece by piece as they come, byte for byte."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest

from tests.e2e.gated import PIECES, Gated
from tests.e2e.serving import Served
from tests.servers.recorder import Recorder, Reply

HELLO: list[Any] = [{"role": "user", "content": "Hello?"}]
ASKED = {"model": "m", "messages": HELLO, "stream": True}


def test_a_stream_is_read_by_the_client(server: Served, upstream: Recorder) -> None:
    upstream.script([Reply(content="Four words, no more.")])
    with server.client() as client:
        events = client.chat.completions.create(
            model="m", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        seen = list(events)
    assert "".join(e.choices[0].delta.content or "" for e in seen if e.choices) == (
        "Four words, no more."
    )
    assert seen[-1].usage is not None
    assert upstream.requests[0].json["stream"] is True


async def test_an_asynchronous_stream_is_read(server: Served, upstream: Recorder) -> None:
    async with server.async_client() as client:
        events = await client.chat.completions.create(model="m", messages=HELLO, stream=True)
        said = [e.choices[0].delta.content or "" async for e in events]
    assert "".join(said) == "Hello from upstream."


def test_tool_calls_come_in_a_stream(server: Served, upstream: Recorder) -> None:
    upstream.script([Reply(tool_calls=[{"name": "f", "arguments": {"x": 1}}])])
    with (
        server.client() as client,
        client.chat.completions.stream(model="m", messages=HELLO) as stream,
    ):
        message = stream.get_final_completion().choices[0].message
    assert message.tool_calls is not None
    assert message.tool_calls[0].function.name == "f"


def test_each_piece_arrives_before_the_next_is_sent(server: Served, gated: Gated) -> None:
    """The upstream sends a piece only when asked to: a proxy that waits for more hangs here."""
    gated.let()
    with httpx.stream(
        "POST", f"{server.url}/chat/completions", json=ASKED | {"model": "gated"}, timeout=30
    ) as answer:
        pieces = answer.iter_raw()
        for piece in PIECES:
            assert next(pieces) == piece
            gated.let()
        assert not list(pieces)
    assert answer.headers["x-precis-decision"] == "unchanged"


ODD = [b"data: {", b'"a": "\xe2', b"\x82", b'\xac"}\r\n\r\n', b": comment\n\n", b"\x00\xff", b"x"]


@pytest.mark.parametrize("content_type", ["text/event-stream", "application/octet-stream"])
def test_a_stream_is_not_looked_into(server: Served, upstream: Recorder, content_type: str) -> None:
    upstream.script([Reply(chunks=ODD, headers={"content-type": content_type})])
    answer = server.post(ASKED)
    assert answer.content == b"".join(ODD)
    assert answer.headers["content-type"] == content_type


def test_a_gzipped_answer_stays_as_it_came(server: Served, upstream: Recorder) -> None:
    upstream.script([Reply(gzip=True)])
    with server.client() as client:
        raw = client.chat.completions.with_raw_response.create(model="m", messages=HELLO)
    assert raw.headers["content-encoding"] == "gzip"
    assert raw.parse().choices[0].message.content == "Hello from upstream."


@pytest.mark.parametrize("pieces", [0, 2])
def test_a_cut_stream_is_an_error_and_no_end(
    server: Served, upstream: Recorder, pieces: int
) -> None:
    upstream.script([Reply(cut_after=pieces)] * 3)
    with server.client() as client, pytest.raises((openai.APIError, httpx.RemoteProtocolError)):
        list(client.chat.completions.create(model="once", messages=HELLO, stream=True))


def test_a_cut_whole_answer_is_an_error(server: Served, upstream: Recorder) -> None:
    body = {"headers": {"content-length": "5000"}, "chunks": [b"{" + b" " * 99], "cut_after": 1}
    upstream.script([Reply(**body)] * 3)
    with server.client() as client, pytest.raises((openai.APIError, httpx.RemoteProtocolError)):
        client.chat.completions.create(model="once", messages=HELLO)


def test_nothing_is_tried_again_after_the_first_byte(server: Served, upstream: Recorder) -> None:
    upstream.script([Reply(cut_after=2)])
    with server.client() as client, pytest.raises((openai.APIError, httpx.RemoteProtocolError)):
        list(client.chat.completions.create(model="retried", messages=HELLO, stream=True))
    assert len(upstream.requests) == 1
