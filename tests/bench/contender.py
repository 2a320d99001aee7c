"""What is asked of a gateway, and what was seen of each that answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tests.bench import load
from tests.bench.servers import KEY, MODEL, Server

SENTENCE = "The minutes of the third meeting were read and nobody had anything to add to them. "


@dataclass
class Seen:
    """What was measured of one contender: seconds, each list with a value a round or a request."""

    single: list[list[float]] = field(default_factory=list)
    large: list[list[float]] = field(default_factory=list)
    burst: list[list[float]] = field(default_factory=list)
    lockstep: list[list[float]] = field(default_factory=list)
    held: int = 0
    """Chunks of the streams in lockstep that came out only after the next one went in."""
    per_second: list[float] = field(default_factory=list)
    cpu_request: list[float] = field(default_factory=list)
    """Processor seconds per request at 16 connections."""
    cpu_chunk: list[float] = field(default_factory=list)
    """Processor seconds per chunk of the streams in lockstep."""
    curve: dict[int, float] = field(default_factory=dict)
    """Requests per second by the number of connections."""
    rss_mb: float = 0.0
    """After everything else."""


@dataclass(frozen=True)
class Requests:
    """The bytes that all contenders get."""

    small: bytes
    large: bytes
    stream: bytes
    lockstep: bytes

    @classmethod
    def make(cls, headers: Mapping[str, str]) -> Requests:
        """With a contender's own headers."""

        def chat(content: str, **more: object) -> bytes:
            messages = [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": content},
            ]
            body = json.dumps({"model": MODEL, **more, "messages": messages}).encode()
            return load.post(body, KEY, headers)

        return cls(
            small=chat("What was decided in the third meeting?"),
            large=chat(SENTENCE * (200_000 // len(SENTENCE))),
            stream=chat("Tell me more.", stream=True),
            lockstep=chat("Tell me more, in lockstep.", stream=True),
        )


@dataclass
class Contender:
    """One port under test, and what was seen there."""

    name: str
    port: int
    server: Server | None = None
    streams: bool = True
    """Whether its streams come through; some peers' don't on every system."""
    seen: Seen = field(default_factory=Seen)

    @cached_property
    def asked(self) -> Requests:
        return Requests.make(self.server.headers if self.server else {})

    def cpu_s(self) -> float:
        return self.server.cpu_s() if self.server else 0.0
