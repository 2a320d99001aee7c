"""``model: echo``: answers with what would have been sent, so that Precis works without any key."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

from proxy.config import ModelEntry
from proxy.errors import BadRequest
from proxy.tokens import encoding, encoding_for
from proxy.upstream.call import Answer, Call, Header, Timeouts

PIECE = 64
"""Characters in one chunk of a stream, at least."""
PIECES = 100
"""Chunks in a stream, about at most."""

_JSON: list[Header] = [(b"content-type", b"application/json")]
_EVENTS: list[Header] = [(b"content-type", b"text/event-stream; charset=utf-8")]


class Echo:
    """A provider that answers chat completions with the texts of their messages."""

    async def send(self, call: Call, entry: ModelEntry, timeouts: Timeouts) -> Answer:
        """A completion whose content is the texts, joined by empty lines, as they would be sent.

        Its extra field ``echo`` is the whole body; in a stream, the last chunk with a choice has
        it. Raises BadRequest for any other path, and for a body that is no chat completion.
        """
        if call.path.rstrip("/") != "/chat/completions":
            raise BadRequest(
                f"The model {entry.model_name!r} answers /v1/chat/completions only.", param="model"
            )
        body = call.body_for(entry.litellm_params.model, entry.litellm_params.defaults)
        # Counting a million tokens takes a moment, and the first count loads a vocabulary.
        echoed = await asyncio.to_thread(_read, body, entry)
        if call.stream:
            return Answer(200, list(_EVENTS), _each(echoed.events()), entry=entry)
        headers = [*_JSON, (b"content-length", b"%d" % len(completion := echoed.completion()))]
        return Answer(200, headers, _each(iter([completion])), entry=entry)

    async def aclose(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, slots=True)
class _Echoed:
    body: dict[str, Any] = field(repr=False)
    text: str = field(repr=False)
    model: str
    usage: dict[str, int]
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def completion(self) -> bytes:
        message = {"role": "assistant", "content": self.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return _encode(
            self._head("chat.completion")
            | {"choices": [choice], "usage": self.usage, "echo": self.body}
        )

    def events(self) -> Iterator[bytes]:
        yield self._event({"role": "assistant", "content": ""}, None)
        size = max(PIECE, len(self.text) // PIECES)
        for start in range(0, len(self.text), size):
            yield self._event({"content": self.text[start : start + size]}, None)
        yield self._event({}, "stop", echo=self.body)
        if (self.body.get("stream_options") or {}).get("include_usage"):
            yield _event(self._head("chat.completion.chunk") | {"choices": [], "usage": self.usage})
        yield b"data: [DONE]\n\n"

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _event(self, delta: dict[str, str], finish: str | None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _event(self._head("chat.completion.chunk") | {"choices": [choice]} | more)


def _read(body: bytes, entry: ModelEntry) -> _Echoed:
    try:
        sent = json.loads(body)
        text = "\n\n".join(text for message in sent["messages"] for text in _texts(message))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as exc:
        # From None: the cause would carry the body into the log.
        raise BadRequest(f"The body is no chat completion: {type(exc).__name__}.") from None
    count = encoding(entry.model_info.encoding or encoding_for(entry.litellm_params.model)).count
    # The answer says what was asked, so both sides count the same.
    tokens = count(text)
    usage = {"prompt_tokens": tokens, "completion_tokens": tokens, "total_tokens": 2 * tokens}
    return _Echoed(sent, text, entry.model_name, usage)


def _texts(message: dict[str, Any]) -> Iterator[str]:
    content = message.get("content")
    if isinstance(content, str):
        yield content
        return
    for part in content or ():
        if part.get("type") == "text":
            yield part["text"]


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + _encode(value) + b"\n\n"


def _encode(value: dict[str, Any]) -> bytes:
    """In ASCII, so that lone surrogates come through as they went in."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


async def _each(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
