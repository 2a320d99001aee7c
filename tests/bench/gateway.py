"""What the proxy costs with compression off: beside LiteLLM's proxy, a bare relay and no proxy.

``python -m tests.bench.gateway`` runs it all, prints two tables and writes a JSON file. Every
contender has one worker, the same mock upstream and the same load generator; all run at the same
time, idle but for the one being measured, and take turns in rounds, so that a busy machine is
busy for all of them. Compare ratios and differences within one run, not numbers between runs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from tests.bench import load, report, servers
from tests.bench.peers import LITELLM
from tests.bench.report import Mark, percentile
from tests.bench.servers import KEY, MODEL, Server
from tests.bench.startup import Start, measure_starts
from tests.bench.upstream import CHUNKS

DIRECT = "direct"
CONNECTIONS = 16
SENTENCE = "The minutes of the third meeting were read and nobody had anything to add to them. "


@dataclass(frozen=True)
class Effort:
    """How much is measured in each round."""

    rounds: int = 7
    singles: int = 150
    larges: int = 30
    bursts: int = 10
    locksteps: int = 5
    seconds: float = 2.0
    starts: int = 5


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
    def make(cls) -> Requests:
        def chat(content: str, **more: object) -> bytes:
            messages = [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": content},
            ]
            body = json.dumps({"model": MODEL, **more, "messages": messages}).encode()
            return load.post(body, KEY)

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
    seen: Seen = field(default_factory=Seen)

    def cpu_s(self) -> float:
        return self.server.cpu_s() if self.server else 0.0


async def warm(contender: Contender, asked: Requests) -> None:
    """First requests import, connect and compile things; nobody should be judged by them."""
    await load.one_by_one(contender.port, asked.small, 50)
    await load.one_by_one(contender.port, asked.large, 3)
    await load.streams(contender.port, asked.stream, 3, CHUNKS)
    await load.at_once(contender.port, asked.small, CONNECTIONS, 1.0)


async def one_round(
    contenders: Sequence[Contender], asked: Requests, upstream_port: int, effort: Effort
) -> None:
    """Each measure, for all contenders in turn, before the next one."""
    for one in contenders:
        one.seen.single.append(await load.one_by_one(one.port, asked.small, effort.singles))
    for one in contenders:
        one.seen.large.append(await load.one_by_one(one.port, asked.large, effort.larges))
    for one in contenders:
        streams = await load.streams(one.port, asked.stream, effort.bursts, CHUNKS)
        one.seen.burst.append([timing.whole for timing in streams])
    for one in contenders:
        before = one.cpu_s()
        seconds, held = await load.lockstep(
            one.port, asked.lockstep, effort.locksteps, upstream_port
        )
        one.seen.cpu_chunk.append((one.cpu_s() - before) / (effort.locksteps * CHUNKS))
        one.seen.lockstep.append(seconds)
        one.seen.held += held
    for one in contenders:
        before = one.cpu_s()
        count, took = await load.at_once(one.port, asked.small, CONNECTIONS, effort.seconds)
        one.seen.per_second.append(count / took)
        one.seen.cpu_request.append((one.cpu_s() - before) / count)


async def run_rounds(
    contenders: Sequence[Contender], upstream_port: int, effort: Effort, console: Console
) -> None:
    """All rounds; the order turns by one each time."""
    asked = Requests.make()
    for one in contenders:
        await warm(one, asked)
    for number in range(effort.rounds):
        turn = number % len(contenders)
        order = [*contenders[turn:], *contenders[:turn]]
        await one_round(order, asked, upstream_port, effort)
        console.print(f"round {number + 1} of {effort.rounds} done", style="dim")
    for one in contenders:
        one.seen.rss_mb = one.server.rss_mb() if one.server else 0.0


def summary(one: Contender, direct: Contender) -> dict[str, Any]:
    """Numbers of one contender. ``added`` is the median over the rounds of the difference."""

    def added(kind: str) -> float:  # milliseconds
        mine, theirs = getattr(one.seen, kind), getattr(direct.seen, kind)
        pairs = zip(mine, theirs, strict=True)
        return float(1000 * median(median(a) - median(b) for a, b in pairs))

    def pooled(seen: Seen, share: float) -> float:
        return 1000 * percentile([s for part in seen.single for s in part], share)

    return {
        "p50_ms": pooled(one.seen, 0.5),
        "p99_ms": pooled(one.seen, 0.99),
        "added_p50_ms": added("single"),
        "added_p99_ms": pooled(one.seen, 0.99) - pooled(direct.seen, 0.99),
        "added_200kb_ms": added("large"),
        "added_stream_ms": added("burst"),
        "added_chunk_us": added("burst") * 1000 / CHUNKS,
        "lockstep_chunk_us": added("lockstep") * 1000 / CHUNKS,
        "held_chunks": one.seen.held,
        "per_second": report.spread(one.seen.per_second),
        "cpu_request_us": 1e6 * median(one.seen.cpu_request),
        "cpu_chunk_us": 1e6 * median(one.seen.cpu_chunk),
        "rss_mb": one.seen.rss_mb,
    }


ROWS = (
    ("p50, 1 connection", "p50_ms", "ms"),
    ("p99, 1 connection", "p99_ms", "ms"),
    ("added at p50", "added_p50_ms", "ms"),
    ("added at p99", "added_p99_ms", "ms"),
    ("added at p50, 200 kB prompt", "added_200kb_ms", "ms"),
    ("added to a stream of 100 chunks", "added_stream_ms", "ms"),
    ("  that is per chunk", "added_chunk_us", "µs"),
    ("delay of a chunk, in lockstep", "lockstep_chunk_us", "µs"),
    ("chunks held back, in lockstep", "held_chunks", ""),
    ("requests/s, 16 connections", "per_second", ""),
    ("CPU per request", "cpu_request_us", "µs"),
    ("CPU per chunk, in lockstep", "cpu_chunk_us", "µs"),
    ("RSS after all that", "rss_mb", "MB"),
)


def show(console: Console, told: Mapping[str, Mapping[str, Any]]) -> None:
    """The contenders as columns."""
    table = Table(title="gateway, compression off, one worker each", title_justify="left")
    table.add_column("")
    for name in told:
        table.add_column(name, justify="right")
    for label, key, unit in ROWS:
        values = [numbers[key] for numbers in told.values()]
        cells = [v["median"] if isinstance(v, dict) else v for v in values]
        table.add_row(label, *(_cell(value, unit) for value in cells))
    console.print(table)


def _cell(value: float, unit: str) -> str:
    digits = 2 if unit == "ms" else 0
    return f"{value:,.{digits}f} {unit}".rstrip()


def show_starts(console: Console, starts: Mapping[str, Start]) -> None:
    """Start-up and memory."""
    table = Table(title="start and memory", title_justify="left")
    for name in ("", "ready after", "RSS when ready", "RSS after long prompts"):
        table.add_column(name, justify="left" if not name else "right")
    for name, start in starts.items():
        after = f"{start.rss_used_mb:.0f} MB" if start.rss_used_mb else "-"
        ready = f"{median(start.ready_s):.2f} s"
        table.add_row(name, ready, f"{start.rss_ready_mb:.0f} MB", after)
    console.print(table)


def marks(told: Mapping[str, Mapping[str, Any]], starts: Mapping[str, Start]) -> list[Mark]:
    """What was asked for: issue 2, and as later marks issue 4."""
    mine, start = told["precis"], starts["precis compressing"]
    ready = median(start.ready_s)
    rss = max(start.rss_ready_mb, start.rss_used_mb, mine["rss_mb"])
    found = [
        Mark("added at p50, 1 connection", mine["added_p50_ms"], 2.0, "ms"),
        Mark("chunks of a stream held back", mine["held_chunks"], 0),
        Mark("ready after", ready, 2.0, "s"),
        Mark("RSS with the classifier", rss, 300, "MB"),
        Mark("added at p50, 1 connection", mine["added_p50_ms"], 1.2, "ms", later=True),
        Mark("added per streamed chunk", mine["added_chunk_us"], 40, "µs", later=True),
        Mark("added at p50, 200 kB", mine["added_200kb_ms"], 2.5, "ms", later=True),
        Mark("ready after", ready, 1.5, "s", later=True),
        Mark("RSS with the classifier", rss, 250, "MB", later=True),
    ]
    if "litellm" in told:
        times = mine["per_second"]["median"] / told["litellm"]["per_second"]["median"]
        what = "requests/s over LiteLLM's, 16 connections"
        found.insert(1, Mark(what, times, 5, "x", at_least=True))
        found.append(Mark(what, times, 10, "x", at_least=True, later=True))
    return found


@contextmanager
def contenders(
    folder: Path, upstream_port: int, wish: argparse.Namespace
) -> Iterator[list[Contender]]:
    """All of them, running."""
    recipes = [servers.precis(folder, upstream_port, model=wish.model, compressing=False)]
    recipes.append(servers.bare(upstream_port))
    if wish.peers != "none":
        recipes.append(servers.litellm(folder, upstream_port))
    with ExitStack() as stack:
        running = [stack.enter_context(Server(recipe, folder)) for recipe in recipes]
        found = [Contender(server.name, server.port, server) for server in running]
        yield [Contender(DIRECT, upstream_port), *found]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns 1 if a mark was missed."""
    wish = _arguments().parse_args(argv)
    effort = Effort(rounds=2, seconds=1.0, starts=2) if wish.quick else Effort(rounds=wish.rounds)
    console = Console(width=110 if not sys.stdout.isatty() else None)
    versions = LITELLM.install().versions() if wish.peers != "none" else {}
    busy = report.machine()
    folder = Path(tempfile.mkdtemp(prefix="precis-bench-"))
    upstream, upstream_port = servers.start_upstream()
    try:
        starts = measure_starts(
            folder, upstream_port, wish.model, wish.peers != "none", effort.starts
        )
        with contenders(folder, upstream_port, wish) as running:
            uvloop.run(run_rounds(running, upstream_port, effort, console))
    finally:
        upstream.terminate()
        upstream.wait()
    told = {one.name: summary(one, running[0]) for one in running}
    show(console, told)
    show_starts(console, starts)
    found = marks(told, starts)
    reached = report.show_marks(console, found)
    results = {"before": busy, "versions": versions, "effort": vars(effort), "gateway": told}
    file = report.save(
        "gateway", {**results, "starts": {k: vars(v) for k, v in starts.items()}}, found
    )
    console.print(
        f"load {busy['load']} before, {report.machine()['load']} after; {file}; logs: {folder}"
    )
    return 0 if reached else 1


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gateway", description=__doc__)
    parser.add_argument("--peers", choices=("all", "none"), default="all")
    parser.add_argument("--model", default="builtin", help="classifier that Precis loads")
    parser.add_argument("--rounds", type=int, default=Effort.rounds)
    parser.add_argument("--quick", action="store_true", help="two short rounds, to try it out")
    return parser


if __name__ == "__main__":
    sys.exit(main())
