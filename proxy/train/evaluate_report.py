"""What the measures look like to a person: tables, and a picture of quality against rate."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from proxy.train.evaluate_methods import BASELINES

Rows = Mapping[str, Mapping[str, float]]
"""By method, ``measure@rate`` -> value."""

_HIDDEN = frozenset({"odds", "content kept"})
"""Measures that are in the file only."""


def table_of(title: str, rows: Rows) -> Table:
    """A block for each measure, a line for each method, a column for each rate.

    Behind a classifier's value is how many times the best baseline's it is.
    """
    table = Table(title=title, title_justify="left")
    keys = [key for key in _keys(rows) if _measure(key) not in _HIDDEN]
    rates = sorted({float(key.partition("@")[2]) for key in keys})
    for column in ("measure", "method"):
        table.add_column(column)
    for rate in rates:
        table.add_column(f"{rate:g}", justify="right")
    for measure in dict.fromkeys(map(_measure, keys)):
        for number, (name, row) in enumerate(rows.items()):
            cells = [_cell(rows, name, f"{measure}@{rate}", row) for rate in rates]
            last = number == len(rows) - 1
            table.add_row("" if number else measure, name, *cells, end_section=last)
    return table


def _cell(rows: Rows, name: str, key: str, row: Mapping[str, float]) -> str:
    if key not in row:
        return "-"
    best = best_baseline(rows, key)
    if name in BASELINES or not best or _measure(key) == "rate":
        return f"{row[key]:.3f}"
    return f"{row[key]:.3f} ({row[key] / best:.2f}x)"


def speeds_of(rows: Rows) -> Table:
    """Milliseconds that each method takes for a thousand tokens."""
    table = Table("method", title="ms for 1,000 tokens, all cores", title_justify="left")
    table.add_column("", justify="right")
    for name, row in rows.items():
        table.add_row(name, f"{row['ms']:.2f}")
    return table


def best_baseline(rows: Rows, key: str) -> float:
    """The best value of random, stop words, truncation and idf; 0 if there is none."""
    return max((rows[name].get(key, 0.0) for name in BASELINES if name in rows), default=0.0)


def markdown_of(results: Mapping[str, Rows]) -> str:
    """All tables, for a README."""
    lines: list[str] = []
    for title, rows in results.items():
        keys = _keys(rows)
        lines += [f"## {title}", "", f"| | {' | '.join(keys)} |", f"|---|{'---:|' * len(keys)}"]
        for name, row in rows.items():
            cells = [f"{row[key]:.3f}" if key in row else "-" for key in keys]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def save(results: Mapping[str, Rows], panels: Sequence[tuple[str, str]], file: Path) -> None:
    """``file`` (JSON), and beside it the tables as ``.md`` and the picture as ``.png``."""
    file.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    file.with_suffix(".md").write_text(markdown_of(results), "utf-8")
    plot(results, panels, file.with_suffix(".png"))


def plot(results: Mapping[str, Rows], panels: Sequence[tuple[str, str]], file: Path) -> None:
    """A panel for each (set, measure): the measure by the rate, a line for each method."""
    from matplotlib.figure import Figure

    there = [(name, measure) for name, measure in panels if name in results]
    columns = min(4, max(1, len(there)))
    lines = max(1, -(-len(there) // columns))
    figure = Figure(figsize=(4 * columns, 3.2 * lines), layout="constrained")
    axes: Any = figure.subplots(lines, columns, squeeze=False).flat
    for ax, (name, measure) in zip(axes, there, strict=False):
        for method, row in results[name].items():
            points = sorted(curve(row, measure).items())
            ax.plot(*zip(*points, strict=True), "o-", label=method) if points else None
        ax.set(title=f"{measure}\n{name}", xlabel="rate")
        ax.title.set_fontsize("small")
        ax.grid(alpha=0.3)
    for ax in list(axes)[len(there) :]:
        ax.set_axis_off()
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=max(1, len(labels)))
    figure.savefig(file, dpi=110)


def curve(row: Mapping[str, float], measure: str) -> dict[float, float]:
    """The measure's values by rate."""
    pairs = ((key.rpartition("@"), value) for key, value in row.items())
    return {float(rate): value for (name, _, rate), value in pairs if name == measure}


def _measure(key: str) -> str:
    return key.partition("@")[0]


def _keys(rows: Rows) -> list[str]:
    return list(dict.fromkeys(key for row in rows.values() for key in row))
