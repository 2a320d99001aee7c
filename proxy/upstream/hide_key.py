"""A provider's refusal without the key that it was asked with.

Some quote it, and whoever asks us may not know it: it is the operator's.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

from proxy.upstream.call import Header

_READABLE = (b"gzip", b"deflate", b"x-gzip")


def without_key(
    headers: list[Header], chunks: AsyncIterator[bytes], key: str
) -> tuple[list[Header], AsyncIterator[bytes]]:
    """Headers and body with asterisks in the place of the key, as many as it has bytes.

    A body in gzip or deflate becomes plain; one in another coding goes as it is.
    """
    secret = key.encode()
    named = {
        value.strip().lower() for name, value in headers if name.lower() == b"content-encoding"
    }
    if not secret or not named.issubset((*_READABLE, b"identity")):
        return headers, chunks
    if named & set(_READABLE):
        dropped = (b"content-encoding", b"content-length")
        headers = [pair for pair in headers if pair[0].lower() not in dropped]
        chunks = _plain(chunks)
    stars = b"*" * len(secret)
    return [(n, v.replace(secret, stars)) for n, v in headers], _starred(chunks, secret, stars)


async def _plain(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The body decoded; of one that is broken, what came before."""
    reader = zlib.decompressobj(47)  # gzip or zlib, by its head
    async for chunk in chunks:
        try:
            yield reader.decompress(chunk)
        except zlib.error:
            return


async def _starred(
    chunks: AsyncIterator[bytes], secret: bytes, stars: bytes
) -> AsyncIterator[bytes]:
    held = b""  # it may lie in two pieces
    async for chunk in chunks:
        held = (held + chunk).replace(secret, stars)
        ready = max(0, len(held) - len(secret) + 1)
        if ready:
            yield held[:ready]
        held = held[ready:]
    if held:
        yield held
