"""A provider's prompt cache, simulated: what of a request is read from it, and what that costs.

As OpenAI documents it: the longest prefix that was sent before, in blocks of 128 tokens, from 1,024
tokens on. Nothing is ever evicted, so every miss here is the sender's own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import tiktoken

from proxy.tokens import encoding

BLOCK = 128
LEAST = 1024
Ints = npt.NDArray[np.int64]
Message = Mapping[str, Any]


class PromptCache:
    """All prefixes that one account has sent so far."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def read(self, tokens: Ints) -> int:
        """How many of the tokens, from the first one on, are read from it; then it has them all."""
        state = hashlib.blake2b(digest_size=16)
        found, hit = 0, True
        for start in range(0, len(tokens) - BLOCK + 1, BLOCK):
            state.update(tokens[start : start + BLOCK].tobytes())
            key = state.digest()
            hit = hit and key in self._seen
            found += BLOCK if hit else 0
            self._seen.add(key)
        return found if found >= LEAST else 0


@dataclass(frozen=True)
class Price:
    """US dollars for one token of the prompt."""

    new: float
    cached: float


@dataclass(frozen=True)
class Bill:
    """What a provider has counted for some requests."""

    requests: int = 0
    tokens: int = 0
    cached: int = 0

    def __add__(self, other: Bill) -> Bill:
        return Bill(
            self.requests + other.requests,
            self.tokens + other.tokens,
            self.cached + other.cached,
        )

    @property
    def hit_share(self) -> float:
        return self.cached / self.tokens if self.tokens else 0.0

    def cost(self, price: Price) -> float:
        return (self.tokens - self.cached) * price.new + self.cached * price.cached


@dataclass(frozen=True)
class Provider:
    """Counts requests the way a provider does, with one cache for all of them."""

    cache: PromptCache
    encoding: str

    def take(self, messages: Sequence[Message], tools: Sequence[Any] = ()) -> Bill:
        """The bill for one request. Definitions of tools stand before the messages."""
        tokens = self.tokens(messages, tools)
        return Bill(1, len(tokens), self.cache.read(tokens))

    def tokens(self, messages: Sequence[Message], tools: Sequence[Any] = ()) -> Ints:
        """The request as the model's template writes it, roughly; shape ``(tokens,)``."""
        head = [json.dumps(tools)] if tools else []
        return np.concatenate([_ids(self.encoding, piece) for piece in [*head, *_pieces(messages)]])


def _pieces(messages: Iterable[Message]) -> Iterable[str]:
    for message in messages:
        rest = {k: v for k, v in message.items() if k not in ("role", "content") and v is not None}
        told = message.get("content") or ""
        content = told if isinstance(told, str) else json.dumps(told)
        yield f"\n{message['role']}\n{content}\n{json.dumps(rest) if rest else ''}"


@lru_cache(maxsize=100_000)
def _ids(name: str, text: str) -> Ints:
    encoding(name)  # so that tiktoken finds its vocabulary
    return np.array(tiktoken.get_encoding(name).encode_ordinary(text), dtype=np.int64)
