"""What filtering did, for a person: numbers, histograms, and the worst samples to read.

The same rows make the same files, so that two reports can be compared.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from proxy.compress.words import split
from proxy.errors import ConfigError
from proxy.train.annotate_stem import key

Row = Mapping[str, Any]

_MEASURES = {
    "vr": "variation rate: words that the original has not",
    "ag": "alignment gap: words that were not found again",
    "mr": "matching rate: words kept",
}
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#~|])")
_BEFORE, _AFTER, _LIMIT = "#c8cdd3", "#2a6f97", "#c1121f"


@dataclass(frozen=True, slots=True)
class Dropped:
    """Rows over one threshold, the worst first."""

    threshold: float
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Indices of the rows that stay, in order, and of those that go, by reason."""

    kept: tuple[int, ...]
    by_vr: Dropped
    by_ag: Dropped


def need_matplotlib() -> None:
    """Raises ConfigError where the histograms could not be drawn."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ConfigError(["the report needs matplotlib: pip install 'precis-proxy[train]'"])


def write_report(folder: Path, rows: Sequence[Row], outcome: Outcome, worst: int) -> None:
    """``report.md`` (numbers), ``report.json``, ``histograms.png`` and ``worst.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = _counts(rows, outcome)
    (folder / "report.json").write_text(json.dumps(counts, indent=1) + "\n", "utf-8")
    (folder / "report.md").write_text(_numbers(rows, outcome), "utf-8")
    samples = _samples(rows, outcome, worst)
    (folder / "worst.md").write_bytes(samples.encode("utf-8", "backslashreplace"))
    _draw(folder / "histograms.png", rows, outcome)


def _counts(rows: Sequence[Row], outcome: Outcome) -> dict[str, Any]:
    return {
        "rows": len(rows),
        "kept": len(outcome.kept),
        "dropped_by_vr": len(outcome.by_vr.rows),
        "dropped_by_ag": len(outcome.by_ag.rows),
        "vr_threshold": outcome.by_vr.threshold if rows else None,
        "ag_threshold": outcome.by_ag.threshold if rows else None,
    }


def _numbers(rows: Sequence[Row], outcome: Outcome) -> str:
    counts = _counts(rows, outcome)
    kept = [rows[row] for row in outcome.kept]
    lines = ["# What filtering did", "", "| | |", "|---|---:|"]
    for name, value in counts.items():
        shown = f"{value:.4f}" if isinstance(value, float) else f"{value}"
        lines.append(f"| {name.replace('_', ' ')} | {shown} |")
    lines += ["", "Rows above a threshold go; those at it stay.", ""]
    lines += ["| | mean before | after | median before | after | most before | after |"]
    lines += ["|---|---:|---:|---:|---:|---:|---:|"]
    for name, meaning in _MEASURES.items():
        before, after = _values(rows, name), _values(kept, name)
        cells = [
            f"{statistic(values):.4f}" if values else "-"
            for statistic in (fmean, median, max)
            for values in (before, after)
        ]
        lines.append(f"| {name.upper()}, {meaning} | {' | '.join(cells)} |")
    lines += ["", "![histograms](histograms.png)", "", "The worst samples: [worst.md](worst.md)"]
    return "\n".join(lines) + "\n"


def _values(rows: Sequence[Row], name: str) -> list[float]:
    return [float(row["metrics"][name]) for row in rows]


def _samples(rows: Sequence[Row], outcome: Outcome, worst: int) -> str:
    """Dropped samples: in the original what is labelled keep, in the answer what is foreign."""
    lines = [
        "# The worst samples that were dropped",
        "",
        "Bold in the original: labelled keep. Bold in the answer: not in the original.",
    ]
    for name, dropped in (("VR", outcome.by_vr), ("AG", outcome.by_ag)):
        lines += ["", f"## By {name}, above {dropped.threshold:.4f}: {len(dropped.rows)} rows"]
        for row in dropped.rows[:worst]:
            lines += ["", *_sample(rows[row])]
    return "\n".join(lines) + "\n"


def _sample(row: Row) -> list[str]:
    rates = ", ".join(f"{name.upper()} {value:.3f}" for name, value in row["metrics"].items())
    text = row["text"]
    kept = [span for span, on in zip(row["words"], row["labels"], strict=True) if on]
    lines = [f"### {_plain(str(row.get('doc', '')))}: {rates}", "", f"> {_bold(text, kept)}"]
    if "compressed" in row:
        lines += ["", f"> {_bold(row['compressed'], _foreign(text, row['compressed']))}"]
    return lines


def _foreign(original: str, compressed: str) -> list[tuple[int, int]]:
    known = {key(word) for word in split(original).strings}
    units = split(compressed)
    spans = zip(units.starts.tolist(), units.ends.tolist(), strict=True)
    return [span for span in spans if key(compressed[span[0] : span[1]]) not in known]


def _bold(text: str, spans: Sequence[Sequence[int]]) -> str:
    """The text on one line with each span in bold; neighbours share their stars."""
    parts, at = [], 0
    for start, end in spans:
        parts += [_plain(text[at:start]), f"**{_plain(text[start:end])}**"]
        at = end
    joined = "".join([*parts, _plain(text[at:])])
    return re.sub(r"\*\*( ?)\*\*(?=\S)", r"\1", joined)


def _plain(text: str) -> str:
    return _MARKUP.sub(r"\\\1", re.sub(r"\s+", " ", text))


def _draw(path: Path, rows: Sequence[Row], outcome: Outcome) -> None:
    # The figure's own canvas instead of pyplot, which keeps every figure and looks for a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4), layout="constrained")
    FigureCanvasAgg(figure)
    limits = {"vr": outcome.by_vr.threshold, "ag": outcome.by_ag.threshold}
    kept = [rows[row] for row in outcome.kept]
    for axes, name in zip(figure.subplots(1, len(_MEASURES)), _MEASURES, strict=True):
        before, after = _values(rows, name), _values(kept, name)
        edges = _edges(before)
        for values, color, when in ((before, _BEFORE, "before"), (after, _AFTER, "after")):
            label = f"{when}: {len(values):,} rows"
            axes.hist(values, edges, histtype="stepfilled", color=color, label=label)
        if name in limits and before:
            label = f"threshold {limits[name]:.3f}"
            axes.axvline(limits[name], color=_LIMIT, linestyle="--", label=label)
        axes.set(xlabel=_MEASURES[name], ylabel="rows", title=name.upper())
        axes.legend(framealpha=1, edgecolor="white")
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def _edges(values: Sequence[float]) -> list[float]:
    """Forty bins from 0 to the largest value, and at least to 0.05."""
    most = max([0.05, *values])
    return [most * step / 40 for step in range(41)]
