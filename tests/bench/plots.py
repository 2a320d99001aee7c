"""Plots of what the benchmarks have measured, each where its results are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Results = Mapping[str, Mapping[str, Any]]
READS = (2_000, 5_000, 20_000)
"""Prompt tokens per second that upstreams read: a small GPU, a hosted model, a fast one."""
RATE = 0.5


def draw(results: Results, folder: Path) -> list[Path]:
    """One PNG for each plot that can be drawn."""
    made: dict[str, tuple[str, Callable[[Axes, Mapping[str, Any]], None]]] = {
        "latency": ("compressor", latency),
        "throughput": ("gateway", throughput),
        "break-even": ("compressor", break_even),
        "soak": ("soak", soak),
    }
    files = []
    for name, (benchmark, plot) in made.items():
        if benchmark in results:
            figure, axes = _canvas()
            plot(axes, results[benchmark])
            axes.legend()
            files.append(folder / f"{name}.png")
            figure.savefig(files[-1], dpi=120)
            plt.close(figure)
    return files


def _canvas() -> tuple[Figure, Axes]:
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    axes.grid(alpha=0.3, which="both")
    return figure, axes


def _seconds(told: Mapping[str, Any]) -> dict[str, tuple[list[int], list[float]]]:
    """Of each contender, lengths in tokens and the seconds that they take."""
    found = {}
    for name, one in told["minilm"].items():
        pairs = sorted((int(tokens), median(s)) for tokens, s in one["seconds"].items())
        found[name] = ([tokens for tokens, _ in pairs], [seconds for _, seconds in pairs])
    return found


def latency(axes: Axes, told: Mapping[str, Any]) -> None:
    """Time to compress against the prompt's length."""
    for name, (tokens, seconds) in _seconds(told).items():
        axes.loglog(tokens, 1000 * np.array(seconds), marker="o", label=name)
    axes.set(title="time to compress", xlabel="prompt tokens", ylabel="ms")


def throughput(axes: Axes, told: Mapping[str, Any]) -> None:
    """Requests per second against concurrency, compression off."""
    for name, one in told["gateway"].items():
        curve = sorted((int(n), rate) for n, rate in one.get("curve", {}).items())
        if curve and name != "direct":
            axes.loglog(*zip(*curve, strict=True), marker="o", label=name)
    axes.set(title="gateway, compression off", xlabel="connections", ylabel="requests/s")


def break_even(axes: Axes, told: Mapping[str, Any]) -> None:
    """Time spent here against time saved at upstreams of several speeds."""
    for name, (tokens, seconds) in _seconds(told).items():
        if "builtin" in name or name == "llmlingua":
            axes.loglog(tokens, 1000 * np.array(seconds), marker="o", label=f"spent: {name}")
            reach = np.array([min(tokens), max(tokens)])
    for reads in READS:
        saved = 1000 * reach * (1 - RATE) / reads
        axes.loglog(reach, saved, "--", label=f"saved: upstream reads {reads:,} tokens/s")
    axes.set(title=f"break-even at rate {RATE}", xlabel="prompt tokens", ylabel="ms")


def soak(axes: Axes, told: Mapping[str, Any]) -> None:
    """Memory over the requests of the soak."""
    axes.plot(told["soak"]["requests"], told["soak"]["rss_mb"], label="precis")
    axes.set(title="memory", xlabel="requests answered", ylabel="RSS, MB", ylim=(0, None))
