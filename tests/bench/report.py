"""What a benchmark says in the end: marks with pass or fail, and a JSON file with everything."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path("bench-results")
BUSY = 1.0
"""Load average before the start over which times can't be trusted."""
CAVEAT = "ratios and CPU times hold, milliseconds and seconds are too long."


@dataclass(frozen=True)
class Mark:
    """One value to reach: at most ``limit``, or at least if ``at_least``."""

    what: str
    value: float
    limit: float
    unit: str = ""
    at_least: bool = False
    later: bool = False
    """Whether a later issue asks for it: missing it is told, and fails nothing."""

    @property
    def passed(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of all values don't exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, max(0, round(share * len(ranked)) - 1))]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and extremes over the rounds."""
    return {"median": median(values), "min": min(values), "max": max(values)}


def machine() -> dict[str, Any]:
    """What the numbers were measured on, and how busy it was."""
    load = os.getloadavg() if hasattr(os, "getloadavg") else ()
    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "system": platform.system(),
        "python": sys.version.split()[0],
        "load": [round(value, 2) for value in load],
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def show_end(console: Console, before: Mapping[str, Any], file: Path) -> None:
    """Where the results are, and whether other work on the machine was in the way."""
    after = machine()
    console.print(f"load {before['load']} before, {after['load']} after; results: {file}")
    if before["load"] and before["load"][0] > BUSY:
        console.print(f"[yellow]The machine was busy before the start: {CAVEAT}")


def show_marks(console: Console, marks: Sequence[Mark]) -> bool:
    """Prints each mark with pass or fail; returns whether all that count now were reached."""
    table = Table(title="marks", title_justify="left")
    for name in ("what", "value", "mark", ""):
        table.add_column(name, justify="left" if name == "what" else "right")
    for mark in marks:
        sign = "≥" if mark.at_least else "≤"
        verdict = "[green]pass" if mark.passed else "[yellow]not yet" if mark.later else "[red]FAIL"
        value, limit = (f"{number:.4g} {mark.unit}" for number in (mark.value, mark.limit))
        table.add_row(
            mark.what + (" (later)" if mark.later else ""), value, f"{sign} {limit}", verdict
        )
    console.print(table)
    return all(mark.passed or mark.later for mark in marks)


def latest(name: str) -> dict[str, Any] | None:
    """What the benchmark saved last, if it ever did."""
    files = sorted(RESULTS.glob(f"{name}-[0-9]*.json"))
    told: dict[str, Any] | None = json.loads(files[-1].read_text()) if files else None
    return told


def save(name: str, results: Mapping[str, Any], marks: Sequence[Mark]) -> Path:
    """Writes everything that was measured below ``bench-results/``."""
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}.json"
    told = [{**asdict(mark), "passed": mark.passed} for mark in marks]
    file.write_text(json.dumps({"machine": machine(), **results, "marks": told}, indent=1))
    return file
