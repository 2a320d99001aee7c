"""What there is to distil: the settings of a run, and the texts cut into chunks that have names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from proxy.tokens import encoding
from proxy.train.chunks import CHUNK_TOKENS, chunks
from proxy.train.distill_cost import Price
from proxy.train.distill_journal import read_rows, text_of
from proxy.train.distill_prompt import INSTRUCTION

_MESSAGE_TOKENS = 8
"""What a chat template adds around two messages, roughly."""


@dataclass(frozen=True, slots=True)
class DistillSettings:
    """What to distil and who does it. Without ``base_url`` litellm finds the provider."""

    source: Path
    target: Path
    model: str
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    instruction: str = INSTRUCTION
    temperature: float = 0.3
    chunk_tokens: int = CHUNK_TOKENS
    max_tokens: int | None = None
    """Of an answer; None leaves it to the provider."""
    concurrency: int = 8
    retries: int = 6
    backoff_s: float = 1.0
    timeout_s: float = 300.0
    price: Price | None = None
    """None looks the model up."""
    retry_failed: bool = True

    @property
    def failures(self) -> Path:
        """``pairs.jsonl`` lists its failures in ``pairs.failures.jsonl``."""
        return self.target.with_suffix(".failures" + (self.target.suffix or ".jsonl"))

    @property
    def overhead(self) -> int:
        """Tokens that go in with every chunk."""
        return encoding("cl100k_base").count(self.instruction) + _MESSAGE_TOKENS


@dataclass(frozen=True, slots=True)
class Work:
    """The chunks of all texts: each once, however often it occurs."""

    chunks: tuple[Chunk, ...]
    repeated: int
    blank: int
    too_long: tuple[Chunk, ...]
    """Single words of over ``chunk_tokens``: nothing to delete there, so nothing is paid."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of work. ``start`` is in characters of its document's text."""

    key: str
    document: str
    number: int
    start: int
    text: str = field(repr=False)
    tokens: int
    source: str = ""


def key_of(chunk: str, instruction: str, model: str, temperature: float) -> str:
    """SHA-256, in hex, of what decides the answer."""
    parts = json.dumps([chunk, instruction, model, temperature])
    return hashlib.sha256(parts.encode()).hexdigest()


def plan(settings: DistillSettings) -> Work:
    """Reads the texts and cuts them. Raises ConfigError with the line of a bad row."""
    count = encoding("cl100k_base").count
    found: dict[str, Chunk] = {}
    repeated = blank = 0
    for chunk in _cut(settings, count):
        if not chunk.text.strip():
            blank += 1
        elif chunk.key in found:
            repeated += 1
        else:
            found[chunk.key] = chunk
    limit = settings.chunk_tokens
    fits = tuple(chunk for chunk in found.values() if chunk.tokens <= limit)
    too_long = tuple(chunk for chunk in found.values() if chunk.tokens > limit)
    return Work(fits, repeated, blank, too_long)


def _cut(settings: DistillSettings, count: Callable[[str], int]) -> Iterator[Chunk]:
    for line, row in read_rows(settings.source):
        text = text_of(row, ("text",), f"{settings.source}:{line}")
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        document = str(row.get("id", digest[:16]))
        for number, (start, end) in enumerate(chunks(text, count, settings.chunk_tokens)):
            piece = text[start:end]
            key = key_of(piece, settings.instruction, settings.model, settings.temperature)
            source = str(row.get("source", ""))
            yield Chunk(key, document, number, start, piece, count(piece), source)
