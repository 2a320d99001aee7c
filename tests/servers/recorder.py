"""A small real upstream: records the bytes it gets, answers like OpenAI, misbehaves on demand.

::

    with Recorder() as upstream:
        upstream.script([Reply(status=429, headers={"retry-after": "1"}), Reply(content="hi")])
        ...                             # talk to f"{upstream.url}/chat/completions"
        upstream.requests[0].json       # what came in
        upstream.requests[0].wait_disconnected()

The ``wait_`` methods block: in a coroutine call them through ``asyncio.to_thread``, or the client
under test gets no chance to do what is waited for.

Each request takes the next scripted reply; when there is none left it gets a well-behaved one.
Without a script it answers ``/chat/completions``, ``/completions``, ``/responses`` and Anthropic's
``/messages`` (stream and not), ``/embeddings`` and ``/models``; any other path gets a JSON object
that tells method and path. The prompts' own ``response_format`` is honoured: JSON comes back.

``python -m tests.servers.recorder --port 9000`` runs it as a process, for benchmarks.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import socket
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import uvicorn

from tests.servers import shapes

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """How one request is answered. Everything not given is as a good provider does it."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    """Added to, or in place of, the usual ones."""
    body: bytes | str | dict[str, Any] | None = None
    """The whole body instead of the usual one; also for errors and garbage."""
    content: str = "Hello from upstream."
    """What the model says."""
    tool_calls: list[dict[str, Any]] | None = None
    """``[{"name": ..., "arguments": {...}}]``: the model calls tools instead."""
    chunks: list[bytes] | None = None
    """The body in these pieces, one write each, sent with chunked encoding."""
    gzip: bool = False
    head_after: float = 0.0
    """Seconds before status and headers."""
    chunk_after: float = 0.0
    """Seconds before each piece of the body."""
    cut_after: int | None = None
    """Pieces of the body after which the connection is cut; 0 cuts it after the headers."""
    raw: bytes | None = None
    """Written to the socket as it is instead of an answer, and then cut; ``b""`` only cuts."""
    never: bool = False
    """No answer at all until the client leaves."""


@dataclass(eq=False)
class Recorded:
    """One request as it came in."""

    method: str
    path: str
    """Without the query, percent-encoded as it came."""
    query: str
    headers: list[tuple[str, str]]
    body: bytes
    gone: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def disconnected(self) -> bool:
        """Whether the client left before its answer had ended."""
        return self.gone.is_set()

    def wait_disconnected(self, timeout: float = 10) -> bool:
        """Wait until the client leaves; False if it stays that many seconds."""
        return self.gone.wait(timeout)

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        return next((v for n, v in self.headers if n.lower() == name.lower()), None)


class Recorder:
    """The upstream, in a thread of this process; use as a context manager."""

    def __init__(self, port: int = 0, keep: int = 1000) -> None:
        """``keep``: how many requests are remembered."""
        self.requests: deque[Recorded] = deque(maxlen=keep)
        self._script: deque[Reply] = deque()
        self.usual: Callable[[Recorded], Reply] = lambda request: Reply()
        """What requests get for which nothing is scripted."""
        self._arrival = threading.Condition()
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            log_level="critical",
            access_log=False,
            lifespan="off",
            ws="none",
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self.run, daemon=True)

    @property
    def url(self) -> str:
        """Base URL, with ``/v1`` and without a slash at its end."""
        return f"http://127.0.0.1:{self.port}/v1"

    def script(self, replies: Iterable[Reply]) -> None:
        """The next requests get these replies, in order, instead of what was scripted before."""
        self._script = deque(replies)

    def wait_requests(self, count: int = 1, timeout: float = 10) -> bool:
        """Wait until so many requests are there; False if they don't come in that many seconds."""
        with self._arrival:
            return self._arrival.wait_for(lambda: len(self.requests) >= count, timeout)

    def run(self) -> None:
        """Serve until ``stop``."""
        self._server.run(sockets=[self._socket])

    def __enter__(self) -> Self:
        self._thread.start()  # the socket listens already, so clients may come at once
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(10)

    async def _app(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        request = Recorded(
            scope["method"],
            scope["raw_path"].decode("ascii"),
            scope["query_string"].decode("ascii"),
            [(n.decode("latin-1"), v.decode("latin-1")) for n, v in scope["headers"]],
            body,
        )
        with self._arrival:
            self.requests.append(request)
            self._arrival.notify_all()
        reply = self._script.popleft() if self._script else self.usual(request)
        # uvicorn's receive belongs to the object that has the connection; ASGI itself has no
        # way to cut one without an answer.
        transport = receive.__self__.transport  # type: ignore[attr-defined]
        await _Exchange(request, reply, receive, send, transport).run()


@dataclass
class _Exchange:
    request: Recorded
    reply: Reply
    receive: Receive
    send: Send
    transport: asyncio.Transport

    async def run(self) -> None:
        """Answer; stop at once if the client leaves."""
        answering = asyncio.create_task(self._answer())
        leaving = asyncio.create_task(self.receive())
        await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            self.request.gone.set()
            answering.cancel()
            return
        if not answering.result():
            self.transport.close()
            await leaving  # returns once the connection is closed
        leaving.cancel()

    async def _answer(self) -> bool:
        """Send the answer; False if the connection is to be cut."""
        if self.reply.never:
            await asyncio.Event().wait()
        await asyncio.sleep(self.reply.head_after)
        if self.reply.raw is not None:
            self.transport.write(self.reply.raw)
            return False
        pieces, usual = self._pieces()
        given = {name.lower(): value for name, value in self.reply.headers.items()}
        headers = [(n.encode(), v.encode()) for n, v in {**usual, **given}.items()]
        await self.send(
            {"type": "http.response.start", "status": self.reply.status, "headers": headers}
        )
        for piece in pieces[: self.reply.cut_after]:
            await asyncio.sleep(self.reply.chunk_after)
            await self.send({"type": "http.response.body", "body": piece, "more_body": True})
        if self.reply.cut_after is not None:
            return False
        await self.send({"type": "http.response.body", "body": b""})
        return True

    def _pieces(self) -> tuple[list[bytes], dict[str, str]]:
        reply = self.reply
        headers = {"content-type": "application/json", "x-request-id": "req_recorded"}
        if reply.chunks is not None:
            pieces = list(reply.chunks)
        elif reply.body is not None or reply.status >= 400:
            pieces = [self._given_body()]
        else:
            pieces, headers["content-type"] = shapes.usual(
                self.request.method, self.request.path, self._asked(), reply
            )
        if reply.gzip:
            pieces = [gzip.compress(b"".join(pieces))]
            headers["content-encoding"] = "gzip"
        if len(pieces) == 1 and reply.chunks is None and reply.cut_after is None:
            headers["content-length"] = str(len(pieces[0]))
        return pieces, headers

    def _given_body(self) -> bytes:
        body = self.reply.body
        if isinstance(body, bytes):
            return body
        if isinstance(body, str):
            return body.encode()
        return json.dumps(shapes.error(self.reply.status) if body is None else body).encode()

    def _asked(self) -> dict[str, Any]:
        try:
            asked = json.loads(self.request.body)
        except ValueError:
            return {}
        return asked if isinstance(asked, dict) else {}


def main() -> None:
    """Run in the foreground."""
    parser = argparse.ArgumentParser(description="A small OpenAI-shaped upstream.")
    parser.add_argument("--port", type=int, default=0)
    recorder = Recorder(parser.parse_args().port, keep=1)
    print(recorder.url, flush=True)
    recorder.run()


if __name__ == "__main__":
    main()
