"""Whether memory stays flat: very many requests of all kinds through one server.

``python -m tests.bench.soak`` sends 100,000 requests, small ones, streams and prompts that are
compressed, each text a new one, and looks at the server's resident memory all the while. Caches are
as large as by default, and fill up all the while: what counts then is the highest. The slope over
the second half counts with ``--memory-mb 4``, where caches and receipts fill up in the first.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import uvloop
from rich.console import Console

from tests.bench import load, mixed, report, servers
from tests.bench.load import Connection
from tests.bench.mixed import PLAIN, SQUEEZED, chat
from tests.bench.prose import prose
from tests.bench.report import Mark
from tests.bench.servers import KEY, Server

CONNECTIONS = 16
EVERY = 1.0
"""Seconds between two looks at the memory."""
_STREAM = (
    b'{"model": "plain", "stream": true, "messages": [{"role": "user", "content": "Tell me"}]}'
)


@dataclass
class Seen:
    """The server's memory in MB, and how many requests it had answered by then."""

    requests: list[int] = field(default_factory=list)
    rss_mb: list[float] = field(default_factory=list)
    seconds: float = 0.0


class Requests:
    """An endless mixture: of a hundred, 90 small ones, 5 streams, 5 to be compressed."""

    def __init__(self, seed: int = 0) -> None:
        self._dice = random.Random(seed)
        self._sentences = prose(20_000).replace("\n\n", " ").split(". ")
        self._small = chat(PLAIN, "What was decided in the third meeting?")
        self._stream = load.post(_STREAM, KEY)

    def next(self) -> bytes:
        """One request; what is to be compressed has some 600 tokens and never came before."""
        die = self._dice.random()
        if die < 0.9:
            return self._small
        if die < 0.95:
            return self._stream
        return chat(SQUEEZED, ". ".join(self._dice.sample(self._sentences, 30)))


async def run(server: Server, total: int) -> Seen:
    """All requests, by connections that each send one after the other."""
    seen, mixture, left = Seen(), Requests(), total
    started = time.perf_counter()

    async def ask() -> None:
        nonlocal left
        connection = await Connection.open(server.port)
        try:
            while left > 0:
                left -= 1
                await connection.ask(mixture.next())
        finally:
            connection.close()

    async def look() -> None:
        while True:
            seen.requests.append(total - left)
            seen.rss_mb.append(await asyncio.to_thread(server.rss_mb))
            await asyncio.sleep(EVERY)

    looking = asyncio.create_task(look())
    await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))
    looking.cancel()
    seen.seconds = time.perf_counter() - started
    seen.requests.append(total)
    seen.rss_mb.append(server.rss_mb())
    return seen


def slope(seen: Seen) -> float:
    """MB per 100,000 requests over the second half, by least squares."""
    half = len(seen.requests) // 2
    x, y = np.array(seen.requests[half:]), np.array(seen.rss_mb[half:])
    if len(set(x.tolist())) < 2:
        return 0.0
    return float(np.polyfit(x, y, 1)[0] * 100_000)


def summary(seen: Seen) -> dict[str, Any]:
    """What goes into the results."""
    return {
        "requests": seen.requests,
        "rss_mb": seen.rss_mb,
        "seconds": seen.seconds,
        "slope_mb": slope(seen),
        "highest_mb": max(seen.rss_mb),
    }


def marks(told: Mapping[str, Any]) -> list[Mark]:
    """Flat is what grows by less than a hundredth of the whole per 100,000 requests."""
    return [
        Mark("RSS, the highest", told["highest_mb"], 250, "MB"),
        Mark("RSS grows per 100,000 requests, second half", told["slope_mb"], 2.5, "MB"),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns 1 if a mark was missed."""
    wish = _arguments().parse_args(argv)
    total = 3_000 if wish.quick else wish.requests
    console = Console(width=110 if not sys.stdout.isatty() else None)
    busy = report.machine()
    folder = report.RESULTS / "servers"
    folder.mkdir(parents=True, exist_ok=True)
    upstream, upstream_port = servers.start_upstream()
    scores = folder / "soak-scores.db"
    for file in folder.glob(f"{scores.name}*"):
        file.unlink()
    cache = {"path": str(scores), "memory_mb": wish.memory_mb}
    recipe = mixed.recipe(folder, upstream_port, wish.model, cache)
    try:
        with Server(recipe, folder) as server:
            told = summary(uvloop.run(run(server, total)))
    finally:
        upstream.terminate()
        upstream.wait()
    rate = total / told["seconds"]
    console.print(f"{total:,} requests in {told['seconds']:.0f} s, {rate:.0f} a second")
    found = marks(told)
    # Caches are still filling up in a short run, so its slope says nothing.
    reached = report.show_marks(console, found[:1] if wish.quick else found)
    file = report.save("soak", {"before": busy, "soak": told}, found)
    report.show_end(console, busy, file)
    return 0 if reached else 1


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    parser.add_argument("--model", default="builtin", help="classifier that Precis loads")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument(
        "--memory-mb", type=float, default=16, help="of the caches; 4 are full in the first half"
    )
    parser.add_argument("--quick", action="store_true", help="3,000 requests, to try it out")
    return parser


if __name__ == "__main__":
    sys.exit(main())
