"""The outermost layer: clients who leave, bugs, and nothing cancelled too late."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import Request
from structlog.testing import capture_logs

from proxy.api.shield import Shield

Message = dict[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]


class Client:
    """One HTTP exchange as a server drives it; ``leave`` is the client's going."""

    def __init__(self, *parts: bytes) -> None:
        self.told: list[Message] = []
        self._parts = list(parts)
        self._over = asyncio.Event()

    def leave(self) -> None:
        self._over.set()

    async def receive(self) -> Message:
        if self._parts:
            body = self._parts.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(self._parts)}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.told.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._over.set()  # as uvicorn does: the answer's end reads like a disconnect

    async def run(self, app: App) -> None:
        scope: Any = {"type": "http", "path": "/v1/x", "method": "POST", "headers": []}
        await Shield(app)(scope, self.receive, self.send)


async def test_a_client_who_leaves_cancels_its_request() -> None:
    client, working = Client(b"body"), asyncio.Event()
    ends: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert await Request(scope, receive).body() == b"body"
        working.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    running = asyncio.create_task(client.run(app))
    await working.wait()
    client.leave()
    with capture_logs() as logs:
        await running  # ends, and is not cancelled itself
    assert ends == ["cancelled"] and not client.told
    assert [line["event"] for line in logs] == ["client gone"]


async def test_a_client_who_leaves_within_its_body_is_no_bug() -> None:
    class Cut(Client):
        async def receive(self) -> Message:
            return {"type": "http.disconnect"}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await Request(scope, receive).body()

    with capture_logs() as logs:
        await Cut().run(app)
    assert [line["event"] for line in logs] == ["client gone"]


async def test_what_follows_the_last_byte_is_not_cancelled() -> None:
    client, done = Client(b""), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await Request(scope, receive).body()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"all"})
        for _ in range(10):
            await asyncio.sleep(0)  # closing the upstream takes a few turns of the loop
        done.append("closed")

    await client.run(app)
    assert done == ["closed"]


async def test_the_server_stopping_is_not_a_client_leaving() -> None:
    started = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        started.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(Client().run(app))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_bug_is_an_answer_and_a_line_without_the_prompt() -> None:
    client = Client(b"")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("the prompt itself")

    with capture_logs() as logs:
        await client.run(app)
    headers = dict(client.told[0]["headers"])
    assert client.told[0]["status"] == 500
    assert json.loads(client.told[1]["body"])["error"]["code"] == "internal_error"
    assert logs[0]["id"].encode() == headers[b"x-precis-request-id"]
    assert (logs[0]["event"], logs[0]["error"]) == ("bug", "ValueError")
    assert "prompt" not in str(logs)


async def test_a_bug_after_the_first_byte_starts_no_second_answer() -> None:
    client = Client(b"")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError

    await client.run(app)
    assert [message["type"] for message in client.told] == ["http.response.start"]
