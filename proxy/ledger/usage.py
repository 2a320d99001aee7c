"""What the upstream says it counted: read from the end of its answer while that passes through.

Knows the shapes of OpenAI's chat, completions and responses, and of Anthropic's messages, whole
and streamed. An answer that tells nothing, such as a stream without ``include_usage``, is fine.
"""

from __future__ import annotations

import json
import re
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_USAGE = re.compile(r'"usage"\s*:\s*(?=\{)')
"""Inside a string its quotes would be escaped, so this is a key."""
_HEAD, _TAIL = 4_096, 16_384
"""Bytes kept of an answer's beginning and end. Usage stands last, but Anthropic's streams tell the
prompt's part in their first event."""
_MOST_INFLATED = 64_000_000
_DECODER = json.JSONDecoder()
_MOST_TOKENS = 2**53
"""Counts from here on are nobody's, and more than JSON's readers and our stores can hold."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The provider's own count of one request."""

    prompt_tokens: int
    """All of the prompt, cached or not."""
    cached_tokens: int | None
    """Those of them that its prompt cache had; None if it does not tell."""
    completion_tokens: int


class UsageReader:
    """Looks at an answer's bytes as they pass and keeps its two ends."""

    def __init__(self, content_encoding: str = "") -> None:
        """``content_encoding``: the header's value; what is neither gzip nor deflate is unread."""
        coding = content_encoding.strip().lower()
        self._unread = coding not in ("", "identity", "gzip", "x-gzip", "deflate")
        plain = self._unread or coding in ("", "identity")
        self._inflate = None if plain else zlib.decompressobj(32 + zlib.MAX_WBITS)
        self._inflated = 0
        self._head = b""
        self._chunks: deque[bytes] = deque()
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        """Take note of the next chunk. Some 0.5 µs where nothing is to be inflated."""
        if self._unread:
            return
        if self._inflate is not None:
            for piece in self._plain(chunk):
                self._keep(piece)
        else:
            self._keep(chunk)

    def usage(self) -> Usage | None:
        """What the answer told, once it has ended."""
        found = _last(b"".join(self._chunks)[-_TAIL:])
        usage = _read(found)
        if usage is None:  # the prompt's part may stand in the first event
            usage = _read({**_first(self._head), **found})
        return usage

    def _keep(self, chunk: bytes) -> None:
        if len(self._head) < _HEAD:
            self._head += chunk[: _HEAD - len(self._head)]
        chunks = self._chunks
        chunks.append(chunk)
        self._size += len(chunk)
        while self._size - len(chunks[0]) >= _TAIL:
            self._size -= len(chunks.popleft())

    def _plain(self, chunk: bytes) -> Iterator[bytes]:
        assert self._inflate is not None  # noqa: S101 - asked before
        try:
            while chunk:
                piece = self._inflate.decompress(chunk, 1 << 20)
                chunk = self._inflate.unconsumed_tail
                self._inflated += len(piece)
                yield piece
                if self._inflated > _MOST_INFLATED:
                    self._unread = True
                    return
        except zlib.error:
            self._unread = True


def _last(raw: bytes) -> Mapping[str, Any]:
    return next(_objects(raw, last=True), {})


def _first(raw: bytes) -> Mapping[str, Any]:
    return next(_objects(raw, last=False), {})


def _objects(raw: bytes, *, last: bool) -> Iterator[Mapping[str, Any]]:
    text = raw.decode("utf-8", "replace")
    places = [match.end() for match in _USAGE.finditer(text)]
    for place in reversed(places) if last else places:
        try:
            value, _ = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError):  # cut off, or no JSON after all
            continue
        yield value


def _read(usage: Mapping[str, Any]) -> Usage | None:
    done = _count(usage, "completion_tokens") or _count(usage, "output_tokens") or 0
    prompt = _count(usage, "prompt_tokens")
    if prompt is not None:
        cached = _count(usage.get("prompt_tokens_details"), "cached_tokens")
        for other in ("prompt_cache_hit_tokens", "cache_read_input_tokens"):
            cached = _count(usage, other) if cached is None else cached
        return Usage(prompt, cached, done)
    prompt = _count(usage, "input_tokens")
    if prompt is None:
        return None
    if "input_tokens_details" in usage:  # OpenAI's responses
        return Usage(prompt, _count(usage["input_tokens_details"], "cached_tokens"), done)
    # Anthropic counts apart what its cache had and what it took in.
    read = _count(usage, "cache_read_input_tokens")
    written = _count(usage, "cache_creation_input_tokens")
    return Usage(prompt + (read or 0) + (written or 0), read, done)


def _count(usage: Any, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, Mapping) else None
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value < _MOST_TOKENS else None
