"""An OpenAI-shaped teacher on a free port that answers, fails, cuts, rewords and reorders."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn

HANG = "hang"
"""Reaction: no answer, and nothing charged, until the client goes away."""


@dataclass(frozen=True)
class Reply:
    """What the server does with one request."""

    text: str = ""
    status: int = 200
    finish_reason: str = "stop"
    refusal: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    usage: bool = True
    body: bytes | None = None


def every_second_word(text: str) -> Reply:
    return Reply(" ".join(text.split()[::2]))


@dataclass
class Teacher:
    """``react(chunk, n)`` decides what the n-th request for a chunk gets, n from 1."""

    react: Callable[[str, int], Reply | str] = lambda text, n: every_second_word(text)
    delay_s: float = 0.0
    asked: Counter[str] = field(default_factory=Counter)
    paid: Counter[str] = field(default_factory=Counter)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        assert scope["type"] == "http" and scope["path"] == "/v1/chat/completions", scope
        body = await _read(receive)
        self.bodies.append(body)
        self.headers.append({k.decode(): v.decode() for k, v in scope["headers"]})
        text = body["messages"][-1]["content"]
        self.asked[text] += 1
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await asyncio.sleep(self.delay_s)
            reply = self.react(text, self.asked[text])
            if isinstance(reply, str):
                while (await receive())["type"] != "http.disconnect":
                    pass
                return
            await _send(reply, text, send)
            if reply.status == 200:
                self.paid[text] += 1
        finally:
            self.at_once -= 1


async def _read(receive: Any) -> dict[str, Any]:
    data, more = b"", True
    while more:
        message = await receive()
        data += message.get("body", b"")
        more = message.get("more_body", False)
    return dict(json.loads(data))


async def _send(reply: Reply, text: str, send: Any) -> None:
    message = {"role": "assistant", "content": reply.text, "refusal": reply.refusal}
    choice = {"index": 0, "message": message, "finish_reason": reply.finish_reason}
    body: dict[str, Any] = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    body["choices"] = [choice]
    if reply.usage:
        used = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        body["usage"] = used
    if reply.status != 200:
        body = {"error": {"message": f"no {text[:10]}", "type": "t", "param": None, "code": "c"}}
    content = reply.body if reply.body is not None else json.dumps(body).encode()
    headers = [(b"content-type", b"application/json")]
    headers += [(k.encode(), v.encode()) for k, v in reply.headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


@contextmanager
def serving(teacher: Teacher) -> Iterator[str]:
    """The base URL of ``teacher``, served by a thread until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(teacher, lifespan="off", log_level="error")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join(10)
    assert not thread.is_alive()
