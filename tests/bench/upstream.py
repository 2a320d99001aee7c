"""A mock of OpenAI's API that costs next to nothing: fixed answers straight from a protocol.

``python -m tests.bench.upstream`` prints the port that it listens on. Streams come in two ways:
usually every chunk is written as soon as the last one is out; where the prompt says ``lockstep``, a
chunk is written only once the client has told, on a second connection, that it holds the one
before. A proxy that gathers chunks can't hide there: what it held is counted.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import cast

import uvloop

CHUNKS = 100
PATIENCE = 0.5
"""Seconds to wait in lockstep before a chunk counts as held back."""
ACK = b"PRECIS-BENCH-ACK"

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_HEAD = {"id": "chatcmpl-1", "created": 1_700_000_000, "model": "bench"}
_USAGE = {"prompt_tokens": 20, "completion_tokens": 60, "total_tokens": 80}
_SAID = "The committee agreed to move the date and to tell everyone by Friday. " * 4


def _response(kind: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n"
    return head % (kind, len(body)) + body


def _whole() -> bytes:
    message = {"role": "assistant", "content": _SAID}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    answer = _HEAD | {"object": "chat.completion", "choices": [choice], "usage": _USAGE}
    return _response(b"application/json", json.dumps(answer).encode())


def _chunks() -> list[bytes]:
    """The events of a stream in HTTP's chunked framing; the last of them ends the body."""
    events = []
    for i in range(CHUNKS):
        delta = {"role": "assistant", "content": ""} if i == 0 else {"content": f" word{i}"}
        finish = "stop" if i == CHUNKS - 1 else None
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        event = _HEAD | {"object": "chat.completion.chunk", "choices": [choice]}
        events.append(b"data: " + json.dumps(event).encode() + b"\n\n")
    framed = [b"%x\r\n%b\r\n" % (len(event), event) for event in events]
    return [*framed, b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"]


WHOLE = _whole()
PIECES = _chunks()
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)


class State:
    """What the stream in lockstep waits for; there is one such stream at a time."""

    def __init__(self) -> None:
        self.acks = asyncio.Semaphore(0)
        self.control: asyncio.Transport | None = None


class Upstream(asyncio.Protocol):
    """One connection: from the proxy under test, or the client's for acknowledgements."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._held = bytearray()
        self._is_control = False
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it

    def connection_lost(self, exc: Exception | None) -> None:
        for task in self._tasks:
            task.cancel()

    def data_received(self, data: bytes) -> None:
        if self._is_control:
            for _ in data:
                self._state.acks.release()
            return
        self._held += data
        if self._held == ACK:
            self._is_control, self._state.control = True, self._transport
            return
        while self._answer_one():
            pass

    def _answer_one(self) -> bool:
        """Answer the request at the start of what is held, if all of it is there."""
        head_end = self._held.find(b"\r\n\r\n")
        if head_end < 0:
            return False
        length = _LENGTH.search(self._held, 0, head_end)
        size = int(length[1]) if length else 0
        if len(self._held) < head_end + 4 + size:
            return False
        body = bytes(self._held[head_end + 4 : head_end + 4 + size])
        del self._held[: head_end + 4 + size]
        self._reply(body)
        return True

    def _reply(self, body: bytes) -> None:
        if b'"stream":true' not in body and b'"stream": true' not in body:
            self._transport.write(WHOLE)
            return
        lockstep = b"lockstep" in body
        task = asyncio.get_running_loop().create_task(self._stream(lockstep))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _stream(self, lockstep: bool) -> None:
        self._transport.write(STREAM_HEAD)
        held = 0
        if lockstep:
            self._state.acks = asyncio.Semaphore(0)
        for number, piece in enumerate(PIECES):
            self._transport.write(piece)
            if not lockstep:
                await asyncio.sleep(0)
            elif number < len(PIECES) - 1:
                held += await self._is_held()
        if lockstep and self._state.control:
            self._state.control.write(b"%d\n" % held)

    async def _is_held(self) -> bool:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._state.acks.acquire()
        except TimeoutError:
            return True
        return False


async def serve() -> None:
    """Listens on a free port of the loopback until it is stopped."""
    loop = asyncio.get_running_loop()
    state = State()
    server = await loop.create_server(lambda: Upstream(state), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
