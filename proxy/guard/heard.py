"""The bytes of an answer while they pass, kept until they are compared, and then forgotten."""

from __future__ import annotations

import zlib

_MOST = 2_000_000
"""Bytes as they came; a longer answer is not compared."""
_MOST_INFLATED = 8_000_000


class Heard:
    """One answer."""

    def __init__(self, content_encoding: str = "") -> None:
        """``content_encoding``: the header's value; other codings than these are not read."""
        coding = content_encoding.strip().lower()
        self._plain = coding in ("", "identity")
        self._lost = not self._plain and coding not in ("gzip", "x-gzip", "deflate")
        self._chunks: list[bytes] = []
        self._size = 0

    def hear(self, chunk: bytes) -> None:
        """Keep the next piece."""
        self._size += len(chunk)
        self._lost = self._lost or self._size > _MOST
        if self._lost:
            self._chunks.clear()
        else:
            self._chunks.append(chunk)

    def body(self) -> bytes | None:
        """All of it without its coding; None if that was too much or can't be read."""
        if self._lost:
            return None
        raw = b"".join(self._chunks)
        if self._plain:
            return raw
        inflate = zlib.decompressobj(32 + zlib.MAX_WBITS)
        try:
            body = inflate.decompress(raw, _MOST_INFLATED)
        except zlib.error:
            return None
        return body if inflate.eof else None
