"""The load generator: raw keep-alive connections on uvloop, bytes made beforehand.

It looks only for the end of each answer, so that both its own cost and its share of the machine
are small and the same for every contender.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast

from tests.bench.upstream import ACK

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
PATIENCE = 600.0
"""Seconds until a request counts as lost; the benchmark stops then."""


@dataclass(frozen=True)
class Timing:
    """One answer: seconds to its first event or whole body, and to its end; events it had."""

    first: float
    whole: float
    events: int


class Connection(asyncio.Protocol):
    """One kept-alive connection that takes one request at a time."""

    def __init__(self, on_event: Callable[[int], None] | None = None) -> None:
        self._on_event = on_event
        self._done: asyncio.Future[Timing] | None = None

    @classmethod
    async def open(cls, port: int, on_event: Callable[[int], None] | None = None) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: cls(on_event), "127.0.0.1", port)
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it

    def connection_lost(self, exc: Exception | None) -> None:
        if self._done and not self._done.done():
            self._done.set_exception(ConnectionError(f"hung up in an answer: {exc}"))

    async def ask(self, request: bytes) -> Timing:
        """Send the request and wait for the end of its answer. Raises unless it is a 200."""
        self._held, self._events, self._first = bytearray(), 0, 0.0
        self._done = asyncio.get_running_loop().create_future()
        self._started = time.perf_counter()
        self._transport.write(request)
        async with asyncio.timeout(PATIENCE):
            return await self._done

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        assert self._done is not None
        self._held += data
        events = data.count(b"data: ")
        self._first = self._first or (now if events else 0.0)
        self._events += events
        if self._is_whole():
            first = self._first or now
            timing = Timing(first - self._started, now - self._started, self._events)
            self._done.set_result(timing)
        elif events and self._on_event:
            self._on_event(events)

    def _is_whole(self) -> bool:
        if self._held.endswith(b"\r\n0\r\n\r\n"):
            return self._is_good()
        head_end = self._held.find(b"\r\n\r\n")
        if head_end < 0:
            return False
        length = _LENGTH.search(self._held, 0, head_end)
        if length is None or len(self._held) < head_end + 4 + int(length[1]):
            return False
        return self._is_good()

    def _is_good(self) -> bool:
        if not self._held.startswith(b"HTTP/1.1 200"):
            assert self._done is not None
            self._done.set_exception(RuntimeError(f"not a 200: {bytes(self._held[:600])!r}"))
            return False
        return True


def post(body: bytes, key: str, headers: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """A chat completion's request, ready to be sent."""
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: application/json\r\n"
        b"user-agent: precis-bench\r\ncontent-type: application/json\r\n%b"
        b"authorization: Bearer %b\r\ncontent-length: %d\r\n\r\n%b"
    ) % (more.encode(), key.encode(), len(body), body)


async def one_by_one(port: int, request: bytes, count: int) -> list[float]:
    """Seconds of each of ``count`` requests on one connection."""
    connection = await Connection.open(port)
    try:
        return [(await connection.ask(request)).whole for _ in range(count)]
    finally:
        connection.close()


async def streams(port: int, request: bytes, count: int, events: int) -> list[Timing]:
    """Streams one after another on one connection. Raises if one has too few events."""
    connection = await Connection.open(port)
    try:
        found = [await connection.ask(request) for _ in range(count)]
    finally:
        connection.close()
    _check_events(found, events)
    return found


async def lockstep(port: int, request: bytes, count: int, ack_port: int) -> tuple[list[float], int]:
    """Seconds of each stream sent in lockstep, and how many chunks were held back in all."""
    reader, writer = await asyncio.open_connection("127.0.0.1", ack_port)
    writer.write(ACK)
    await asyncio.sleep(0.05)  # so that the name and the first acknowledgement don't run together
    connection = await Connection.open(port, lambda events: writer.write(b"." * events))
    seconds, held = [], 0
    try:
        for _ in range(count):
            seconds.append((await connection.ask(request)).whole)
            held += int(await reader.readline())
    finally:
        connection.close()
        writer.close()
    return seconds, held


async def at_once(port: int, request: bytes, connections: int, seconds: float) -> tuple[int, float]:
    """Requests answered, and seconds taken, by connections that each send one after the other."""
    open_ones = [await Connection.open(port) for _ in range(connections)]
    until = time.perf_counter() + seconds
    started = time.perf_counter()

    async def run(connection: Connection) -> int:
        count = 0
        while time.perf_counter() < until:
            await connection.ask(request)
            count += 1
        return count

    counts = await asyncio.gather(*map(run, open_ones))
    took = time.perf_counter() - started
    for connection in open_ones:
        connection.close()
    return sum(counts), took


def _check_events(found: Sequence[Timing], events: int) -> None:
    least = min(timing.events for timing in found)
    if least < events:
        raise RuntimeError(f"a stream of {events} events came out with {least}")
