"""What the gateway's benchmark prints: contenders as columns, starts, and the marks."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench import report
from tests.bench.contender import Contender, Seen
from tests.bench.report import Mark, percentile
from tests.bench.startup import Start
from tests.bench.upstream import CHUNKS


def summary(one: Contender, direct: Contender) -> dict[str, Any]:
    """Numbers of one contender. ``added`` is the median over the rounds of the difference."""

    def added(kind: str, count: int = 1) -> float | None:  # milliseconds, divided by the count
        mine, theirs = getattr(one.seen, kind), getattr(direct.seen, kind)
        if not mine:
            return None
        pairs = zip(mine, theirs, strict=True)
        return float(1000 / count * median(median(a) - median(b) for a, b in pairs))

    def microseconds(milliseconds: float | None) -> float | None:
        return None if milliseconds is None else 1000 * milliseconds

    def pooled(seen: Seen, share: float) -> float:
        return 1000 * percentile([s for part in seen.single for s in part], share)

    return {
        "p50_ms": pooled(one.seen, 0.5),
        "p99_ms": pooled(one.seen, 0.99),
        "added_p50_ms": added("single"),
        "added_p99_ms": pooled(one.seen, 0.99) - pooled(direct.seen, 0.99),
        "added_200kb_ms": added("large"),
        "added_stream_ms": added("burst"),
        "added_chunk_us": microseconds(added("burst", CHUNKS)),
        "lockstep_chunk_us": microseconds(added("lockstep", CHUNKS)),
        "held_chunks": one.seen.held,
        "per_second": report.spread(one.seen.per_second),
        "cpu_request_us": 1e6 * median(one.seen.cpu_request),
        "cpu_chunk_us": 1e6 * median(one.seen.cpu_chunk) if one.seen.cpu_chunk else None,
        "curve": one.seen.curve,
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


def _cell(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    digits = 2 if unit == "ms" else 0
    return f"{value:,.{digits}f} {unit}".rstrip()


def show_starts(console: Console, starts: Mapping[str, Start]) -> None:
    """Start-up and memory."""
    table = Table(title="start and memory", title_justify="left")
    for name in ("", "ready after", "CPU until then", "RSS when ready", "RSS after long prompts"):
        table.add_column(name, justify="left" if not name else "right")
    for name, start in starts.items():
        after = f"{start.rss_used_mb:.0f} MB" if start.rss_used_mb else "-"
        ready = f"{median(start.ready_s):.2f} s"
        cpu, idle = f"{start.cpu_ready_s:.2f} s", f"{start.rss_ready_mb:.0f} MB"
        table.add_row(name, ready, cpu, idle, after)
    console.print(table)


def marks(told: Mapping[str, Mapping[str, Any]], starts: Mapping[str, Start]) -> list[Mark]:
    """What is asked for."""
    mine, start = told["precis"], starts["precis compressing"]
    rss = max(start.rss_ready_mb, start.rss_used_mb, mine["rss_mb"])
    found = [
        Mark("added at p50, 1 connection", mine["added_p50_ms"], 1.2, "ms"),
        Mark("added per streamed chunk", mine["added_chunk_us"], 40, "µs"),
        Mark("chunks of a stream held back", mine["held_chunks"], 0),
        Mark("added at p50, 200 kB", mine["added_200kb_ms"], 2.5, "ms"),
        Mark("ready after", median(start.ready_s), 1.5, "s"),
        Mark("RSS with the classifier", rss, 250, "MB"),
    ]
    if "litellm" in told:
        times = mine["per_second"]["median"] / told["litellm"]["per_second"]["median"]
        found.append(Mark("requests/s over LiteLLM's, 16 connections", times, 10, "x", True))
    return found
