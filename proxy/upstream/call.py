"""What travels to a provider and back: a call, an answer, and who turns one into the other.

Knows nothing of any provider, and nothing of what the bytes mean.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from proxy.config_upstreams import ModelEntry
from proxy.errors import UpstreamTimeout

Render = Callable[[str, Mapping[str, Any]], bytes]
"""(provider's model id, fields to add where absent) -> the body for that model."""

Header = tuple[bytes, bytes]


def _any_model(name: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Call:
    """One request to go out. Neither its body nor its headers show in ``repr``."""

    method: str
    path: str
    """Relative to the entry's base: ``/chat/completions``. Percent-encoded as it came."""
    query: str = field(repr=False)
    """Without the question mark; empty if there is none."""
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    """The client's, without hop-by-hop and ``x-precis-`` headers."""
    body: bytes = field(repr=False)
    model: str
    """Public name of the model; may be empty for a call that names none."""
    stream: bool
    render: Render | None = field(default=None, repr=False)
    """The body for another entry's model; without it every entry gets ``body``."""

    allows: Callable[[str], bool] = field(default=_any_model, repr=False)
    """Whether the caller may use a public model name; asked of fallbacks."""

    conversation: str = field(default="", repr=False)
    """The same for all calls of a conversation; empty where that can't be told."""

    def body_for(self, model: str, defaults: Mapping[str, Any]) -> bytes:
        """The body with the provider's model id, and with what the client did not set."""
        return self.body if self.render is None else self.render(model, defaults)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to connect, and between two reads of an answer."""

    connect: float
    read: float


async def _nothing_to_close() -> None:
    return None


async def _only(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _overheard(
    chunks: AsyncIterator[bytes], hear: Callable[[bytes], None]
) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        hear(chunk)
        yield chunk


class Answer:
    """What came back: status, headers, and the body as it comes in.

    ``headers`` are the provider's without hop-by-hop ones. Whoever holds an answer closes it;
    closing one that has not ended hangs up on the provider at once.
    """

    def __init__(
        self,
        status: int,
        headers: list[Header],
        chunks: AsyncIterator[bytes],
        *,
        entry: ModelEntry,
        close: Callable[[], Awaitable[None]] = _nothing_to_close,
    ) -> None:
        self.status = status
        self.headers = headers
        self.entry = entry
        """The entry that served it."""
        self.retries = 0
        """Tries before this one, fallbacks included."""
        self.deadline: float | None = None
        """The event loop's time by which the whole body must be there."""
        self.ended = False
        """Whether the whole body has come in."""
        self._chunks = chunks
        self._ahead: deque[bytes] = deque()
        self._close = close

    async def read_ahead(self, limit: int) -> None:
        """Take in the body until ``limit`` bytes of it wait here, or until it ends.

        What was read is still there for ``aiter``. Raises UpstreamError as ``aiter`` does.
        """
        held = sum(map(len, self._ahead))
        while held < limit:
            chunk = await self._next()
            if chunk is None:
                return
            self._ahead.append(chunk)
            held += len(chunk)

    @property
    def content_encoding(self) -> str:
        """The header's value; empty without one."""
        named = (v for n, v in self.headers if n.lower() == b"content-encoding")
        return b",".join(named).decode("latin-1")

    @property
    def ahead(self) -> bytes:
        """What was read ahead and not yet passed on."""
        return b"".join(self._ahead)

    async def aiter(self) -> AsyncIterator[bytes]:
        """The raw body, piece by piece as it comes. To be used once.

        Raises UpstreamError if the provider breaks off, UpstreamTimeout if it falls silent.
        """
        while self._ahead:
            yield self._ahead.popleft()
        while (chunk := await self._next()) is not None:
            yield chunk

    def instead(self, body: bytes) -> Answer:
        """This answer with another JSON body; it is closed with the new one."""
        dropped = (b"content-length", b"content-encoding", b"content-type")
        kept = [pair for pair in self.headers if pair[0].lower() not in dropped]
        own = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        chunks = _only(body)
        return Answer(self.status, [*kept, *own], chunks, entry=self.entry, close=self.aclose)

    def overheard(self, hear: Callable[[bytes], None]) -> Answer:
        """This answer, each piece of which is also given to ``hear`` when it is passed on."""
        chunks = _overheard(self.aiter(), hear)
        return Answer(self.status, self.headers, chunks, entry=self.entry, close=self.aclose)

    async def read(self) -> bytes:
        """The whole raw body, and then the answer is closed."""
        try:
            return b"".join([chunk async for chunk in self.aiter()])
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Give the connection back, or cut it if the body has not ended. Harmless if repeated."""
        await self._close()

    async def _next(self) -> bytes | None:
        try:
            if self.deadline is None:  # a stream: a timer that never rings costs 4 µs a chunk
                return await self._chunks.__anext__()
            async with asyncio.timeout_at(self.deadline):
                return await self._chunks.__anext__()
        except StopAsyncIteration:
            self.ended = True
            return None
        except TimeoutError as exc:
            raise UpstreamTimeout(
                f"The model {self.entry.model_name!r} did not end its answer in time; "
                "raise 'timeout', or ask for a stream."
            ) from exc


class Provider(Protocol):
    """One way to reach models."""

    async def send(self, call: Call, entry: ModelEntry, timeouts: Timeouts) -> Answer:
        """Send the call to the entry's model; returns once the answer's head is there.

        A provider's refusal is an answer. Raises UpstreamError if there was none, UpstreamTimeout
        if there was none in time, BadRequest for a call that this provider can't take.
        Cancelling it hangs up.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...
