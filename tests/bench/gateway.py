"""What the proxy costs with compression off: beside other gateways, a bare relay and no proxy.

``python -m tests.bench.gateway`` runs it all, prints two tables and writes a JSON file. Every
contender has one worker, the same mock upstream and the same load generator; all run at the same
time, idle but for the one being measured, and take turns in rounds, so that a busy machine is
busy for all of them. Compare ratios and differences within one run, not numbers between runs.
``direct`` is also the limit of the load generator and the upstream together.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop
from rich.console import Console

from tests.bench import load, report, servers
from tests.bench.contender import Contender
from tests.bench.gateway_tables import marks, show, show_starts, summary
from tests.bench.peers import HEADROOM, LITELLM, PORTKEY, NodePeer, Peer
from tests.bench.servers import Server
from tests.bench.startup import measure_starts
from tests.bench.upstream import CHUNKS

DIRECT = "direct"
CONNECTIONS = 16
CURVE = (1, 2, 4, 8, 16, 32, 64)
"""Connections at which requests per second are measured for the plot."""


PEERS: dict[str, Peer | NodePeer] = {
    "litellm": LITELLM,
    "headroom": HEADROOM,
    "portkey": PORTKEY,
}


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


async def warm(contender: Contender) -> None:
    """First requests import, connect and compile things; nobody should be judged by them."""
    asked = contender.asked
    await load.one_by_one(contender.port, asked.small, 50)
    await load.one_by_one(contender.port, asked.large, 3)
    await load.at_once(contender.port, asked.small, CONNECTIONS, 1.0)


def _streams(one: Contender) -> bool:
    return one.streams


async def one_round(contenders: Sequence[Contender], upstream_port: int, effort: Effort) -> None:
    """Each measure, for all contenders in turn, before the next one."""
    for one in contenders:
        one.seen.single.append(await load.one_by_one(one.port, one.asked.small, effort.singles))
    for one in contenders:
        one.seen.large.append(await load.one_by_one(one.port, one.asked.large, effort.larges))
    for one in filter(_streams, contenders):
        streams = await load.streams(one.port, one.asked.stream, effort.bursts, CHUNKS)
        one.seen.burst.append([timing.whole for timing in streams])
    for one in filter(_streams, contenders):
        before = one.cpu_s()
        seconds, held = await load.lockstep(
            one.port, one.asked.lockstep, effort.locksteps, upstream_port
        )
        one.seen.cpu_chunk.append((one.cpu_s() - before) / (effort.locksteps * CHUNKS))
        one.seen.lockstep.append(seconds)
        one.seen.held += held
    for one in contenders:
        before = one.cpu_s()
        count, took = await load.at_once(one.port, one.asked.small, CONNECTIONS, effort.seconds)
        one.seen.per_second.append(count / took)
        one.seen.cpu_request.append((one.cpu_s() - before) / count)


_FAILED = (OSError, RuntimeError, TimeoutError)


async def able(contenders: Sequence[Contender]) -> list[Contender]:
    """Those that answer what they will be asked, warm; a peer that doesn't is left out."""
    found = []
    for one in contenders:
        try:
            await warm(one)
        except _FAILED as exc:
            if one.name not in PEERS:
                raise
            print(f"left out: {one.name} failed ({exc})", flush=True)
            continue
        found.append(one)
        try:
            await load.streams(one.port, one.asked.stream, 3, CHUNKS)
        except _FAILED as exc:
            if one.name not in PEERS:
                raise
            print(f"left out: {one.name}'s streams failed ({exc})", flush=True)
            one.streams = False
    return found


async def run_rounds(
    contenders: Sequence[Contender], upstream_port: int, effort: Effort, console: Console
) -> list[Contender]:
    """All rounds; the order turns by one each time. Those that took part."""
    contenders = await able(contenders)
    for number in range(effort.rounds):
        turn = number % len(contenders)
        order = [*contenders[turn:], *contenders[:turn]]
        await one_round(order, upstream_port, effort)
        console.print(f"round {number + 1} of {effort.rounds} done", style="dim")
    for connections in CURVE:
        for one in contenders:
            count, took = await load.at_once(
                one.port, one.asked.small, connections, effort.seconds / 2
            )
            one.seen.curve[connections] = count / took
    for one in contenders:
        one.seen.rss_mb = one.server.rss_mb() if one.server else 0.0
    return contenders


@contextmanager
def contenders(
    folder: Path, upstream_port: int, wish: argparse.Namespace, peers: Sequence[str]
) -> Iterator[list[Contender]]:
    """All of them, running."""
    recipes = [servers.precis(folder, upstream_port, model=wish.model, compressing=False)]
    recipes.append(servers.bare(upstream_port))
    if "litellm" in peers:
        recipes.append(servers.litellm(folder, upstream_port))
    if "headroom" in peers:
        recipes.append(servers.headroom(upstream_port))
    if "portkey" in peers:
        recipes.append(servers.portkey(upstream_port))
    with ExitStack() as stack:
        running = []
        for recipe in recipes:
            try:
                running.append(stack.enter_context(Server(recipe, folder)))
            except (OSError, RuntimeError) as exc:
                if recipe.name not in PEERS:
                    raise
                print(f"left out: {exc}", flush=True)
        found = [Contender(server.name, server.port, server) for server in running]
        yield [Contender(DIRECT, upstream_port), *found]


def installed(wanted: str) -> dict[str, str]:
    """Versions of the peers, by name; one that can't be had is told and left out."""
    names = PEERS if wanted == "all" else () if wanted == "none" else wanted.split(",")
    found: dict[str, str] = {}
    for name in names:
        try:
            (found[name],) = list(PEERS[name].install().versions().values())[:1]
        except (OSError, subprocess.CalledProcessError) as exc:
            print(f"left out: {name} could not be installed ({exc})", flush=True)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns 1 if a mark was missed."""
    wish = _arguments().parse_args(argv)
    effort = Effort(rounds=2, seconds=1.0, starts=2) if wish.quick else Effort(rounds=wish.rounds)
    console = Console(width=110 if not sys.stdout.isatty() else None)
    versions = installed(wish.peers)
    busy = report.machine()
    folder = report.RESULTS / "servers"  # their configurations and logs
    folder.mkdir(parents=True, exist_ok=True)
    upstream, upstream_port = servers.start_upstream()
    try:
        starts = measure_starts(
            folder, upstream_port, wish.model, "litellm" in versions, effort.starts
        )
        with contenders(folder, upstream_port, wish, list(versions)) as running:
            running = uvloop.run(run_rounds(running, upstream_port, effort, console))
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
    report.show_end(console, busy, file)
    return 0 if reached else 1


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gateway", description=__doc__)
    parser.add_argument("--peers", default="all", help="all, none, or some: litellm,portkey")
    parser.add_argument("--model", default="builtin", help="classifier that Precis loads")
    parser.add_argument("--rounds", type=int, default=Effort.rounds)
    parser.add_argument("--quick", action="store_true", help="two short rounds, to try it out")
    return parser


if __name__ == "__main__":
    sys.exit(main())
