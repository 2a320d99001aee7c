"""HTTP/1 as uvicorn speaks it, with what it leaves open: heads that are too large, HTTP/1.0.

What is no HTTP, and heads over the limit, get an error that OpenAI's clients can read. A client of
HTTP/1.0 knows no chunks: its answer ends with the connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from proxy.errors import BadRequest, HeadTooLarge, PrecisError

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope

MAX_HEAD = 64 * 1024
"""Bytes of a request's target and headers together; uvicorn itself takes any number."""


class Wire(HttpToolsProtocol):
    """One connection."""

    _head = 0
    """Bytes of a head that is not whole yet, but for those of the read that it began in."""
    _in_head = False

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def data_received(self, data: bytes) -> None:
        goes_on = self._in_head
        super().data_received(data)
        self._head = self._head + len(data) if goes_on and self._in_head else 0
        if self._head > MAX_HEAD:
            self._refuse(_too_large())

    def on_headers_complete(self) -> None:
        self._in_head = False
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        app = self.app
        if size > MAX_HEAD:
            self.app = _refuse_head
        super().on_headers_complete()
        self.app = app
        if self.parser.get_http_version() == "1.0":
            # uvicorn names the class of a cycle itself; this one only sends in another way.
            self.cycle.__class__ = _UntilClosed

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP. Also uvicorn's way to say so, hence the name."""
        self._refuse(BadRequest(f"{msg} Send HTTP/1.1.", code="invalid_http"))

    def _refuse(self, error: PrecisError) -> None:
        headers, body = _answer(error)
        head = [STATUS_LINE[error.status], *(b"%b: %b\r\n" % pair for pair in headers)]
        self.transport.write(b"".join([*head, b"\r\n", body]))
        self.transport.close()


class _UntilClosed(RequestResponseCycle):
    """An answer to HTTP/1.0; without a length it ends with the connection."""

    _raw = False

    async def send(self, message: ASGISendEvent) -> None:
        told: dict[str, Any] = dict(message)
        if not self.response_started:
            names = {name.lower() for name, _ in told["headers"]}
            self._raw = b"content-length" not in names
        if not self._raw:
            await super().send(message)
            return
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            self.response_started, self.keep_alive = True, False
            head = [STATUS_LINE[told["status"]]]
            head += [b"%b: %b\r\n" % pair for pair in told["headers"]]
            self.transport.write(b"".join([*head, b"connection: close\r\n\r\n"]))
            return
        self.transport.write(told.get("body", b""))
        if not told.get("more_body", False):
            self.response_complete = True
            self.message_event.set()
            self.transport.close()
            self.on_response()


def _too_large() -> HeadTooLarge:
    return HeadTooLarge(
        f"The request's target and headers are over {MAX_HEAD // 1024} KiB; send less."
    )


def _answer(error: PrecisError) -> tuple[list[tuple[bytes, bytes]], bytes]:
    body = msgspec.json.encode(error.body())
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    return headers, body


async def _refuse_head(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    error = _too_large()
    headers, body = _answer(error)
    await send(
        {
            "type": "http.response.start",
            "status": error.status,
            "headers": headers,
            "trailers": False,
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})
