"""What small requests pay while huge ones are compressed beside them.

``python -m tests.bench.mixed`` sends small requests one after another, first alone and then while
Precis compresses each of the loads below, and prints what that adds to their time. One kind of
small requests passes through untouched, the other is short enough to be compressed at once.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from tests.bench import load, report, servers
from tests.bench.load import Connection
from tests.bench.prose import prose
from tests.bench.report import Mark, percentile
from tests.bench.servers import KEY, Recipe, Server

PLAIN, SQUEEZED = "plain", "squeezed"
"""Public names of the model that no policy covers, and of the one that every text is cut for."""
PAUSE = 0.004
"""Seconds between two small requests, so that they are a trickle and no load."""
ALONE = "alone"


@dataclass(frozen=True)
class Load:
    """What is compressed meanwhile: requests that are sent at once."""

    name: str
    requests: tuple[bytes, ...]


@dataclass
class Seen:
    """Seconds of the small requests under one load, and how long the load took."""

    plain: list[float] = field(default_factory=list)
    squeezed: list[float] = field(default_factory=list)
    took: float = 0.0


def chat(model: str, *contents: str) -> bytes:
    """A chat completion's request, ready to be sent."""
    messages = [{"role": "user", "content": content} for content in contents]
    return load.post(json.dumps({"model": model, "messages": messages}).encode(), KEY)


def loads(quick: bool) -> list[Load]:
    """One huge prompt; and if there is time, what attackers and bulk jobs send."""
    question = "\n\nQuestion: What was decided about the date?"
    one = Load("one of 200,000 tokens", (chat(SQUEEZED, prose(200_000) + question),))
    if quick:
        return [Load("one of 40,000 tokens", (chat(SQUEEZED, prose(40_000) + question),))]
    many = tuple(chat(SQUEEZED, prose(10_000, seed=i) + question) for i in range(16))
    tiny = chat(SQUEEZED, *(f"Note {i}: the office is open." for i in range(20_000)))
    return [
        one,
        Load("16 of 10,000 tokens", many),
        Load("a message of 4.5 MB", (chat(SQUEEZED, prose(900_000) + question),)),
        Load("20,000 tiny messages", (tiny,)),
    ]


async def trickle(port: int, request: bytes, seen: list[float], stop: asyncio.Event) -> None:
    """Small requests on one connection, with pauses, until it is time to stop."""
    connection = await Connection.open(port)
    try:
        while not stop.is_set():
            seen.append((await connection.ask(request)).whole)
            await asyncio.sleep(PAUSE)
    finally:
        connection.close()


async def beside(port: int, small: Mapping[str, bytes], heavy: Load | None, alone_s: float) -> Seen:
    """The small requests' times while the load is on its way; without one, for some seconds."""
    seen, stop = Seen(), asyncio.Event()
    trickles = [
        asyncio.create_task(trickle(port, small[PLAIN], seen.plain, stop)),
        asyncio.create_task(trickle(port, small[SQUEEZED], seen.squeezed, stop)),
    ]
    started = time.perf_counter()
    if heavy is None:
        await asyncio.sleep(alone_s)
    else:
        await asyncio.gather(*(_whole(port, request) for request in heavy.requests))
    seen.took = time.perf_counter() - started
    stop.set()
    await asyncio.gather(*trickles)
    return seen


async def _whole(port: int, request: bytes) -> None:
    connection = await Connection.open(port)
    try:
        await connection.ask(request)
    finally:
        connection.close()


async def run(port: int, heavy: Sequence[Load], alone_s: float) -> dict[str, Seen]:
    """Every load, after the small requests alone; what was compressed once warms nothing here."""
    small = {
        PLAIN: chat(PLAIN, "What was decided in the third meeting?"),
        SQUEEZED: chat(SQUEEZED, prose(120, seed=99)),
    }
    await beside(port, small, None, 1.0)
    found = {ALONE: await beside(port, small, None, alone_s)}
    for one in heavy:
        found[one.name] = await beside(port, small, one, alone_s)
    return found


NO_CACHE = {"memory_mb": 0, "store": "none"}


def recipe(
    folder: Path, upstream_port: int, model: str, cache: Mapping[str, Any] | None = None
) -> Recipe:
    """Precis with both models; its deadline is long, for here everything is to be compressed.

    ``cache``: its settings; nothing is remembered without.
    """
    base = f"http://127.0.0.1:{upstream_port}/v1"
    params = {"model": "openai/bench", "api_base": base, "api_key": "sk-upstream"}
    names = (PLAIN, SQUEEZED)
    config = {
        "compressor": {"model": model, "cache": cache or NO_CACHE},
        "model_list": [{"model_name": name, "litellm_params": params} for name in names],
        "policies": {"default": {"rate": 0.5, "deadline_ms": 600_000, "min_tokens": 50}},
        "routes": [{"match": {"model": SQUEEZED}, "policy": "default"}],
        "tenants": {"bench": {"keys": ["sha256:" + hashlib.sha256(KEY.encode()).hexdigest()]}},
    }
    file = folder / "mixed.yaml"
    file.write_text(json.dumps(config))  # every JSON document is a YAML one
    command = (sys.executable, "-m", "proxy", "serve", "--config", str(file), "--port", "{port}")
    return Recipe("precis mixed", command)


def summary(seen: Seen) -> dict[str, float]:
    """Milliseconds, but for the number of requests and the load's seconds."""
    told: dict[str, float] = {"took_s": seen.took, "requests": len(seen.plain)}
    for kind, values in (("plain", seen.plain), ("squeezed", seen.squeezed)):
        for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
            told[f"{kind}_{name}_ms"] = 1000 * percentile(values, share)
    return told


def show(console: Console, told: Mapping[str, Mapping[str, float]]) -> None:
    """A row a load."""
    table = Table(title="small requests, ms: p50 / p99 / max", title_justify="left")
    for name in ("beside", "passed through", "compressed", "requests", "the load took"):
        table.add_column(name, justify="left" if name == "beside" else "right")
    for name, row in told.items():
        cells = (
            " / ".join(f"{row[f'{kind}_{share}_ms']:.1f}" for share in ("p50", "p99", "max"))
            for kind in ("plain", "squeezed")
        )
        table.add_row(name, *cells, f"{row['requests']:.0f}", f"{row['took_s']:.1f} s")
    console.print(table)


def marks(told: Mapping[str, Mapping[str, float]]) -> list[Mark]:
    """What was asked for is about one prompt of 200,000 tokens; the others are told beside it."""
    alone = told[ALONE]["plain_p99_ms"]
    return [
        Mark(f"p99 passed through grows, beside {name}", row["plain_p99_ms"] - alone, 10, "ms")
        for name, row in told.items()
        if name != ALONE
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns 1 if a mark was missed."""
    wish = _arguments().parse_args(argv)
    console = Console(width=110 if not sys.stdout.isatty() else None)
    busy = report.machine()
    folder = report.RESULTS / "servers"
    folder.mkdir(parents=True, exist_ok=True)
    upstream, upstream_port = servers.start_upstream()
    heavy = [one for one in loads(wish.quick) if not wish.only or wish.only in one.name]
    try:
        with Server(recipe(folder, upstream_port, wish.model), folder) as server:
            seen = uvloop.run(run(server.port, heavy, 3 if wish.quick else 10))
            rss = server.rss_mb()
    finally:
        upstream.terminate()
        upstream.wait()
    told: dict[str, Any] = {name: summary(one) for name, one in seen.items()}
    show(console, told)
    found = marks(told)
    reached = report.show_marks(console, found)
    file = report.save("mixed", {"before": busy, "mixed": told, "rss_mb": rss}, found)
    report.show_end(console, busy, file)
    return 0 if reached else 1


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.mixed", description=__doc__)
    parser.add_argument("--model", default="builtin", help="classifier that Precis loads")
    parser.add_argument("--only", default="", help="only loads with this in their names")
    parser.add_argument("--quick", action="store_true", help="one load of 40,000 tokens")
    return parser


if __name__ == "__main__":
    sys.exit(main())
