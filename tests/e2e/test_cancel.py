"""Clients that leave: the upstream and the classifier learn of it and stop."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from typing import Any

import openai
import pytest

from tests.e2e.serving import Served, until
from tests.e2e.texts import MEETING
from tests.servers.recorder import Recorder, Reply

HELLO: list[Any] = [{"role": "user", "content": "Hello?"}]


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_stops_waiting_hangs_up_on_the_upstream(
    server: Served, upstream: Recorder, stream: bool
) -> None:
    upstream.script([Reply(never=True)])
    with server.client(timeout=0.3) as client, pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model="m", messages=HELLO, stream=stream)
    assert upstream.requests[0].wait_disconnected()
    assert len(upstream.requests) == 1


def test_a_stream_that_is_closed_early_hangs_up_on_the_upstream(
    server: Served, upstream: Recorder
) -> None:
    upstream.script([Reply(content="word " * 10_000, chunk_after=0.01)])
    with server.client() as client:
        stream = client.chat.completions.create(model="m", messages=HELLO, stream=True)
        next(iter(stream))
        stream.close()
    assert upstream.requests[0].wait_disconnected()


async def test_a_cancelled_task_hangs_up_on_the_upstream(
    server: Served, upstream: Recorder
) -> None:
    upstream.script([Reply(never=True)])
    async with server.async_client() as client:
        task = asyncio.create_task(client.chat.completions.create(model="m", messages=HELLO))
        await asyncio.to_thread(until, lambda: upstream.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(upstream.requests[0].wait_disconnected)


def request(body: dict[str, Any], path: str = "/v1/chat/completions") -> bytes:
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(content)}\r\n\r\n"
    return head.encode() + content


def test_a_client_that_leaves_while_its_prompt_is_compressed_frees_the_queue(
    server: Served, upstream: Recorder
) -> None:
    words = MEETING.split()
    shuffled = (random.Random(i).sample(words, len(words)) for i in range(120))  # nothing repeats
    text = "\n\n".join(map(" ".join, shuffled))
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(request(body))
        until(lambda: server.metric("precis_queue_tokens") > 0)
    until(lambda: server.metric("precis_queue_tokens") == 0)
    short = {"model": "m", "messages": HELLO}
    assert server.post(short).status_code == 200
    assert [seen.json["messages"] for seen in upstream.requests] == [HELLO]


def test_a_client_that_leaves_within_its_own_body_is_no_bug(
    server: Served, upstream: Recorder
) -> None:
    whole = request({"model": "m", "messages": HELLO})
    for cut in (20, len(whole) - 30, len(whole) - 1):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(whole[:cut])
    assert server.post({"model": "m", "messages": HELLO}).status_code == 200
    assert len(upstream.requests) == 1  # and the fixture looks for bugs in the log
