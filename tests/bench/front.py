"""What depth, width and windows buy: quality against speed, for some classifiers and windows.

``python -m tests.bench.front --data DATA MODEL... --windows 64 128 256`` scores texts of
nq-oracle-dev with every model in windows of every length, prints the answers and linked answers
that stay at a rate, and writes a JSON file and the plot ``bench-results/front.png``. Speed is in
cl100k tokens per second of one core's time, from text to scores, so that other work on the machine
does not count. Points on the front are those that no other beats in both.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib as mpl
from rich.console import Console
from rich.table import Table

from proxy.train import devsets
from proxy.train.devsets import Text
from proxy.train.evaluate_measures import answers_kept
from proxy.train.evaluate_methods import by_classifier
from tests.bench import report

mpl.use("Agg")

from matplotlib import pyplot as plt

NAME = "front"
"""Not written out below: what runs all benchmarks has no data and no models for this one."""


@dataclass(frozen=True)
class Point:
    """One classifier with one length of window."""

    model: str
    window: int
    answers: float
    """Share of the questions whose answer stays."""
    linked: float
    """Share of those whose answer stays with what links it to the question."""
    per_second: float
    """Tokens per second of one core's time."""


def measure(model: str, window: int, texts: Sequence[Text], rate: float) -> Point:
    """One point; the texts are scored twice, and the faster time counts."""
    method = by_classifier(model, window=window)
    method.prepare(texts[:1], lambda: None)
    seconds = []
    for _ in range(2):
        started = time.process_time()
        method.prepare(texts, lambda: None)
        seconds.append(time.process_time() - started)
    kept = answers_kept(texts, [method.keeps(text, rate, "tokens") for text in texts])
    tokens = sum(text.tokens for text in texts)
    return Point(model, window, kept["answers"], kept["linked"], tokens / min(seconds))


def front(points: Sequence[Point]) -> list[Point]:
    """Points that none of the others beats in speed and linked answers, the fastest first."""
    best: list[Point] = []
    for point in sorted(points, key=lambda one: (-one.per_second, -one.linked)):
        if not best or point.linked > best[-1].linked:
            best.append(point)
    return best


def draw(points: Sequence[Point], rate: float, file: Path) -> None:
    """Linked answers against speed, a line for each model, the front dashed."""
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for model in dict.fromkeys(point.model for point in points):
        own = [point for point in points if point.model == model]
        places = [point.per_second for point in own], [point.linked for point in own]
        axes.plot(*places, "o-", label=Path(model).name)
        for point in own:
            axes.annotate(f" {point.window}", (point.per_second, point.linked), fontsize="small")
    best = front(points)
    line = [point.per_second for point in best], [point.linked for point in best]
    axes.plot(*line, "k--", alpha=0.5, label="front")
    axes.set(
        xlabel="tokens per second of one core (windows of as many tokens as the label says)",
        ylabel=f"linked answers at {rate:g}",
        xscale="log",
    )
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=120)
    plt.close(figure)


def show(console: Console, points: Sequence[Point], rate: float) -> None:
    """A line for each point."""
    table = Table(title=f"quality and speed at {rate:g}", title_justify="left")
    for name in ("model", "window", "answers", "linked", "tokens/s of a core", "front"):
        table.add_column(name, justify="left" if name == "model" else "right")
    best = front(points)
    for point in points:
        numbers = (f"{point.answers:.3f}", f"{point.linked:.3f}", f"{point.per_second:,.0f}")
        on = "*" if point in best else ""
        table.add_row(Path(point.model).name, str(point.window), *numbers, on)
    console.print(table)


def main(argv: Sequence[str] | None = None) -> int:
    """Measures every model with every window."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.front", description=__doc__)
    parser.add_argument("models", nargs="+", help="shipped names or directories")
    parser.add_argument("--data", type=Path, required=True, help="where the dev sets are")
    parser.add_argument("--windows", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--rate", type=float, default=0.33)
    parser.add_argument("--texts", type=int, default=100, help="texts of some 600 words; 0: all")
    wish = parser.parse_args(argv)
    console = Console()
    busy = report.machine()
    texts = devsets.nq(wish.data, limit=wish.texts)
    points = [
        measure(model, window, texts, wish.rate) for model in wish.models for window in wish.windows
    ]
    show(console, points, wish.rate)
    told = {"before": busy, "rate": wish.rate, "points": [asdict(point) for point in points]}
    file = report.save(NAME, told, [])
    draw(points, wish.rate, report.RESULTS / "front.png")
    report.show_end(console, busy, file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
