"""Crowds, slow readers, rude clients and odd HTTP: the server answers, and forgets no one."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.e2e.serving import Served, until
from tests.e2e.texts import MEETING
from tests.servers.recorder import Recorder, Reply

HELLO = {"model": "m", "messages": [{"role": "user", "content": "Hello?"}]}


@contextmanager
def connected(server: Served) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        yield client


def request(
    body: dict[str, Any] | None = None,
    line: str = "POST /v1/chat/completions HTTP/1.1",
    *headers: str,
) -> bytes:
    content = json.dumps(body).encode() if body else b""
    head = [line, "host: x", f"content-length: {len(content)}", *headers, "", ""]
    return "\r\n".join(head).encode() + content


def read_all(client: socket.socket) -> bytes:
    """All bytes until the server closes the connection."""
    return b"".join(iter(lambda: client.recv(65_536), b""))


async def test_a_hundred_clients_at_once_each_get_their_own_answer(server: Served) -> None:
    async with server.async_client(timeout=120) as client:

        async def ask(number: int) -> bool:
            # One in ten is long enough to be compressed; its first and last lines are its own.
            long = number % 10 == 0
            text = f"Say {number}!\n\n{MEETING[:2500]}\n\nIs it {number}?" if long else f"{number}?"
            answer = await client.chat.completions.create(
                model="echo", messages=[{"role": "user", "content": text}]
            )
            said = answer.choices[0].message.content or ""
            marks = (f"Say {number}!", f"Is it {number}?") if long else (f"{number}?",)
            return all(mark in said for mark in marks) and (len(said) < len(text)) == long

        assert all(await asyncio.gather(*map(ask, range(100))))


async def test_the_same_text_gets_the_same_bytes_whatever_runs_beside_it(server: Served) -> None:
    text = MEETING[:2000]
    async with server.async_client(timeout=120) as client:

        async def ask(content: str) -> str:
            answer = await client.chat.completions.create(
                model="echo", messages=[{"role": "user", "content": content}]
            )
            return answer.choices[0].message.content or ""

        alone = await ask(text)
        others = [MEETING[i * 99 : i * 99 + 2500] for i in range(6)]
        crowd = await asyncio.gather(*(ask(t) for other in others for t in (text, other)))
    assert set(crowd[::2]) == {alone}


def test_a_reader_that_does_not_read_holds_up_nobody(server: Served, upstream: Recorder) -> None:
    upstream.script([Reply(chunks=[b"x" * 65_536] * 400)])
    with connected(server) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(request(HELLO | {"stream": True}, "POST /v1/chat/completions HTTP/1.1"))
        until(lambda: upstream.requests)
        for _ in range(3):
            assert server.post(HELLO).status_code == 200
        assert not upstream.requests[0].disconnected  # it waits, and is not given up
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
    assert upstream.requests[0].wait_disconnected()


def test_a_slow_reader_gets_every_byte(server: Served, upstream: Recorder) -> None:
    upstream.script([Reply(chunks=[bytes([65 + i % 26]) * 10_000 for i in range(200)])])
    with httpx.stream("POST", f"{server.url}/chat/completions", json=HELLO, timeout=60) as answer:
        until(lambda: upstream.requests)
        got = b"".join(answer.iter_raw(777))
    assert got == b"".join(bytes([65 + i % 26]) * 10_000 for i in range(200))


@pytest.mark.parametrize("seed", range(4))
def test_leaving_at_any_moment_harms_nobody(server: Served, upstream: Recorder, seed: int) -> None:
    dice = random.Random(seed)
    upstream.script([Reply(chunk_after=dice.choice((0, 0.002))) for _ in range(40)])
    long = {"model": "m", "messages": [{"role": "user", "content": MEETING}]}

    def leave() -> None:
        whole = request(dice.choice((HELLO, long)) | {"stream": dice.random() < 0.5})
        with connected(server) as client:
            client.sendall(whole[: dice.choice((len(whole), dice.randrange(len(whole))))])
            client.settimeout(dice.choice((0.001, 0.01, 0.05)))
            try:
                client.recv(dice.randrange(1, 2000))
            except TimeoutError:
                return  # and leaves

    threads = [threading.Thread(target=leave) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    upstream.script([])
    assert server.post(HELLO).json()["choices"][0]["message"]["content"] == "Hello from upstream."
    until(lambda: server.metric("precis_queue_tokens") == 0)


def test_pipelined_requests_are_answered_in_order(server: Served) -> None:
    asked = [request({**HELLO, "model": "echo", "messages": [{"role": "user", "content": f"n{i}"}]})
             for i in range(5)]  # fmt: skip
    last = request(None, "GET /health/liveliness HTTP/1.1", "connection: close")
    with connected(server) as client:
        client.sendall(b"".join(asked) + last)
        answers = read_all(client)
    places = [answers.index(b'"content":"n%d"' % i) for i in range(5)]
    assert places == sorted(places)
    assert answers.count(b"HTTP/1.1 200") == 6 and answers.endswith(b'{"status":"alive"}')


def test_a_request_in_single_bytes_is_read(server: Served) -> None:
    with connected(server) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request(HELLO, "POST /v1/chat/completions HTTP/1.1", "connection: close"):
            client.sendall(bytes([byte]))
        assert read_all(client).startswith(b"HTTP/1.1 200")


def test_http_1_0_is_answered_and_closed(server: Served) -> None:
    with connected(server) as client:
        client.sendall(request(HELLO, "POST /v1/chat/completions HTTP/1.0"))
        answer = read_all(client)
    assert b" 200 " in answer.splitlines()[0] and b"Hello from upstream." in answer


def test_a_client_that_waits_for_a_go_ahead_gets_it(server: Served) -> None:
    head, _, content = request(
        HELLO, "POST /v1/chat/completions HTTP/1.1", "expect: 100-continue", "connection: close"
    ).partition(b"\r\n\r\n")
    with connected(server) as client:
        client.sendall(head + b"\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 100")
        client.sendall(content)
        assert b"HTTP/1.1 200" in read_all(client)


@pytest.mark.parametrize("path", ["/v1/models", "/health/liveliness", "/v1/files", "/metrics"])
def test_head_has_no_body(server: Served, upstream: Recorder, path: str) -> None:
    with connected(server) as client:
        client.sendall(request(None, f"HEAD {path} HTTP/1.1", "connection: close"))
        head, _, rest = read_all(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200") and not rest


@pytest.mark.parametrize("size", [10_000, 60_000])
def test_huge_headers_get_an_answer(server: Served, upstream: Recorder, size: int) -> None:
    """Whatever it is: an upstream may not take such headers, but we do not fall over them."""
    answer = server.post(HELLO, headers={"x-huge": "h" * size})
    assert answer.status_code < 500 or answer.json()["error"]["type"] == "upstream_error"
    assert server.post(HELLO).status_code == 200


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GARBAGE\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhi",
        b"POST /v1/files HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET /\x00 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /v1/files HTTP/1.1\r\nx y: z\r\n\r\n",
    ],
)
def test_what_is_no_http_is_turned_away(server: Served, upstream: Recorder, junk: bytes) -> None:
    with connected(server) as client:
        client.sendall(junk)
        client.shutdown(socket.SHUT_WR)
        assert b" 200 " not in read_all(client)
    assert not upstream.requests
    assert server.post(HELLO).status_code == 200


def test_a_websocket_is_refused(server: Served) -> None:
    upgrade = ["upgrade: websocket", "connection: upgrade", "sec-websocket-version: 13",
               "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="]  # fmt: skip
    with connected(server) as client:
        client.sendall(request(None, "GET /v1/realtime?model=m HTTP/1.1", *upgrade))
        assert client.recv(1000).split(b" ", 2)[1] != b"101"


def test_a_body_of_chunks_is_read(server: Served, upstream: Recorder) -> None:
    content = json.dumps(HELLO).encode()
    pieces = (content[i : i + 7] for i in range(0, len(content), 7))
    answer = httpx.post(f"{server.url}/chat/completions", content=pieces, timeout=30)
    assert answer.status_code == 200
    assert upstream.requests[0].header("transfer-encoding") is None
