"""What a conversation costs that is sent whole at every turn: with the cache, without, restarted.

``python -m tests.bench.conversation`` plays one conversation with every kind of cache, prints what
was scored and how long it took turn by turn, and writes a JSON file. The application runs in this
process, so that the tokens that its classifier scores can be counted. ``restarted`` serves every
turn with a new application that shares nothing but the store with the one before.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import structlog
from rich.console import Console
from rich.table import Table

from proxy.app import build
from proxy.compress import Compressor
from proxy.compress.scorer import Floats, Ints, Scorer
from proxy.config import Config
from tests.bench import report
from tests.bench.prose import prose
from tests.bench.report import Mark
from tests.compress.stores import redis_server

Message = dict[str, str]
Settings = dict[str, Any]

OFF: Settings = {"memory_mb": 0, "store": "none"}
IDENTICAL = 10_000
"""Tokens of the message that is sent again and again."""
REPEATS = 40


class Counting:
    """A classifier that counts the tokens that it scores."""

    def __init__(self, inner: Scorer) -> None:
        self.name, self.fingerprint = inner.name, inner.fingerprint
        self._inner = inner
        self.tokens = 0

    def score(self, ids: Ints) -> Floats:
        self.tokens += len(ids)
        return self._inner.score(ids)


@dataclass
class Turn:
    """What one request cost."""

    tokens_scored: int
    ms: float
    """To compress, as the answer's header tells."""
    overhead_ms: float
    cpu_ms: float
    """Of this process for the whole request, client and upstream included."""
    cache: str


@dataclass
class Play:
    """A conversation with one kind of cache."""

    name: str
    turns: list[Turn] = field(default_factory=list)

    @property
    def tokens(self) -> int:
        return sum(turn.tokens_scored for turn in self.turns)

    @property
    def ms(self) -> float:
        return sum(turn.ms for turn in self.turns)

    @property
    def cpu_ms(self) -> float:
        return sum(turn.cpu_ms for turn in self.turns)


class Site:
    """An application and its client."""

    def __init__(self, compressor: Compressor, cache: Settings) -> None:
        counting = Counting(compressor.scorer)
        counted = Compressor(counting, compressor.reader, threads=compressor.threads)
        config = Config.model_validate(
            {
                "compressor": {"cache": cache},
                "model_list": [{"model_name": "echo", "litellm_params": {"model": "echo"}}],
                "policies": {"default": {"deadline_ms": 600_000}},
                "routes": [{"policy": "default"}],
            }
        )
        self.app = build(config, counted)
        self._scorer = counting
        transport = httpx.ASGITransport(self.app)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://bench", timeout=None)

    async def ask(self, messages: Sequence[Message], **headers: str) -> Turn:
        before, busy = self._scorer.tokens, time.process_time()
        body = {"model": "echo", "messages": list(messages)}
        answer = await self._client.post("/v1/chat/completions", json=body, headers=headers)
        answer.raise_for_status()
        told = {name: answer.headers[f"x-precis-{name}"] for name in ("ms", "overhead-ms", "cache")}
        scored = self._scorer.tokens - before
        cpu = 1000 * (time.process_time() - busy)
        return Turn(scored, float(told["ms"]), float(told["overhead-ms"]), cpu, told["cache"])

    async def close(self) -> None:
        await self._client.aclose()
        await self.app.state.parts.pool.aclose()
        await asyncio.to_thread(self.app.state.parts.scheduler.close)


def conversation(turns: int, tokens: int) -> list[list[Message]]:
    """The messages of each request: all before, and a new one with a document and a question."""
    said: list[Message] = []
    requests = []
    for turn in range(turns):
        document = prose(tokens, seed=2 * turn)
        question = f"What does part {turn + 1} say about the committee, and who paid?"
        said.append({"role": "user", "content": f"{document}\n\n{question}"})
        requests.append(list(said))
        said.append({"role": "assistant", "content": prose(tokens // 5, seed=2 * turn + 1)})
    return requests


async def play(
    name: str, compressor: Compressor, cache: Settings, requests: list[list[Message]], restart: bool
) -> Play:
    """Plays it with one application, or with a new one each turn."""
    found = Play(name)
    site = Site(compressor, cache)
    for number, messages in enumerate(requests):
        if restart and number:
            await site.close()
            site = Site(compressor, cache)
        found.turns.append(await site.ask(messages))
    await site.close()
    return found


async def identical(compressor: Compressor, cache: Settings) -> dict[str, float]:
    """Milliseconds for 10,000 tokens that were met before, beside those that are not touched."""
    site = Site(compressor, cache)
    message = [{"role": "user", "content": prose(IDENTICAL, seed=77)}]
    first = await site.ask(message)
    known, untouched = [], []
    for _ in range(REPEATS):
        known.append(await site.ask(message))
        untouched.append(await site.ask(message, **{"x-precis-bypass": "true"}))
    await site.close()
    if {turn.cache for turn in known} != {"hit"}:
        raise RuntimeError("a message that was met before was not recalled")
    over, plain = (median(t.overhead_ms for t in turns) for turns in (known, untouched))
    cpu, plain_cpu = (median(t.cpu_ms for t in turns) for turns in (known, untouched))
    return {
        "first_ms": first.ms,
        "recalled_ms": median(turn.ms for turn in known),
        "overhead_ms": over,
        "untouched_overhead_ms": plain,
        "extra_ms": over - plain,
        "extra_cpu_ms": cpu - plain_cpu,
    }


async def run(wish: argparse.Namespace, folder: Path, port: int | None) -> dict[str, Any]:
    compressor = Compressor.load(wish.model)
    requests = conversation(6 if wish.quick else wish.turns, wish.tokens)
    once = Play("each message once, alone")
    site = Site(compressor, OFF)
    for messages in requests:
        once.turns.append(await site.ask(messages[-1:]))
    await site.close()
    kinds: list[tuple[str, Settings, bool]] = [
        ("no cache", OFF, False),
        ("memory", {"store": "none"}, False),
        ("SQLite, restarted each turn", _sqlite(folder / "a.sqlite"), True),
        ("SQLite", _sqlite(folder / "b.sqlite"), False),
    ]
    if port:
        redis = {"store": "redis", "url": f"redis://127.0.0.1:{port}/0", "timeout_ms": 1000}
        kinds.append(("Redis, restarted each turn", redis, True))
    plays = [once]
    for name, cache, restart in kinds:
        plays.append(await play(name, compressor, cache, requests, restart))
    return {"plays": plays, "identical": await identical(compressor, {"store": "none"})}


def _sqlite(file: Path) -> Settings:
    return {"store": "sqlite", "path": str(file), "timeout_ms": 1000}


def marks(plays: Mapping[str, Play], same: Mapping[str, float]) -> list[Mark]:
    """The values to reach."""
    once = plays["each message once, alone"]
    found = []
    for name, one in plays.items():
        if name in ("no cache", once.name):
            continue
        found.append(Mark(f"tokens scored, {name}", one.tokens / once.tokens, 1.2, "x once"))
        if "restarted" not in name:
            found.append(Mark(f"CPU time, {name}", one.cpu_ms / once.cpu_ms, 1.2, "x once"))
    extra = same["extra_ms"] * 10_000 / IDENTICAL
    return [*found, Mark("extra work for 10,000 tokens met before", extra, 1.0, "ms")]


def show(console: Console, plays: Mapping[str, Play], same: Mapping[str, float]) -> None:
    once = plays["each message once, alone"]
    table = Table(title="one conversation, sent whole at every turn", title_justify="left")
    costs = ("tokens scored", "x once", "ms", "x once", "CPU ms", "x once")
    for name in ("", *costs, "ms of a turn: 2nd", "middle", "last"):
        table.add_column(name, justify="left" if not name else "right")
    for one in plays.values():
        turns = one.turns
        some = (turns[1], turns[len(turns) // 2], turns[-1])
        table.add_row(
            one.name,
            f"{one.tokens:,}",
            f"{one.tokens / once.tokens:.2f}",
            f"{one.ms:,.0f}",
            f"{one.ms / once.ms:.2f}",
            f"{one.cpu_ms:,.0f}",
            f"{one.cpu_ms / once.cpu_ms:.2f}",
            *(f"{turn.ms:,.1f} {turn.cache}" for turn in some),
        )
    console.print(table)
    console.print(
        f"{IDENTICAL:,} tokens met before: {same['recalled_ms']:.2f} ms to recall "
        f"(at first {same['first_ms']:,.0f} ms), {same['extra_ms']:.2f} ms more than untouched "
        f"({same['extra_cpu_ms']:.2f} ms more of CPU)"
    )


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns 1 if a mark was missed."""
    wish = _arguments().parse_args(argv)
    console = Console(width=150 if not sys.stdout.isatty() else None)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    busy = report.machine()
    with _folder() as folder:
        there = shutil.which("redis-server") is not None
        if not there:
            console.print("[yellow]no redis-server here, so Redis is left out")
        with redis_server(folder) if there else nullcontext() as port:
            told = asyncio.run(run(wish, folder, port))
    plays = {one.name: one for one in told["plays"]}
    show(console, plays, told["identical"])
    found = marks(plays, told["identical"])
    reached = report.show_marks(console, found)
    results = {
        "before": busy,
        "wish": vars(wish),
        "plays": {name: [asdict(turn) for turn in one.turns] for name, one in plays.items()},
        "identical": told["identical"],
    }
    report.show_end(console, busy, report.save("conversation", results, found))
    return 0 if reached else 1


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.conversation", description=__doc__)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--tokens", type=int, default=600, help="of each document")
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--quick", action="store_true", help="six turns, to try it out")
    return parser


if __name__ == "__main__":
    sys.exit(main())
