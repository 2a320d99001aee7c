"""Filter: drop the pairs whose answers strayed furthest, and show a person what goes.

The third stage of LLMLingua-2's way to a classifier (arXiv 2403.12968, section 3.3). By share of
the rows, those of the highest variation rate go first (the teacher put in words), and of the rest
those of the highest alignment gap (its words could not be found again). The authors' script drops
10 % in the first step where the paper says 5 %; it drops every row at the threshold, so that of a
clean set, where all rates are 0, nothing is left, and of a small one too much; it attaches the
texts of other rows to those that stay; and it shows nothing of what it drops.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from proxy.errors import ConfigError
from proxy.train.distill_console import exit_codes, progress, show
from proxy.train.distill_journal import read_rows, replace
from proxy.train.filter_report import Dropped, Outcome, need_matplotlib, write_report

PAPER_VR, CODE_VR, DROP_AG = 0.05, 0.10, 0.10
"""Shares that the paper drops by VR, that its code drops, and that both drop by AG."""


@dataclass(frozen=True, slots=True)
class FilterSettings:
    """``report`` is a directory; shares are of the rows, in [0, 1)."""

    source: Path
    target: Path
    report: Path
    drop_vr: float = PAPER_VR
    drop_ag: float = DROP_AG
    worst: int = 20
    """Samples of each kind to write out for reading."""


def threshold(values: Sequence[float], share: float) -> float:
    """The rate above which rows go: at most ``share`` of them do, whole numbers rounded down.

    Rows of equal rate stay or go together. Infinite for no values.
    """
    if not values:
        return math.inf
    # The small number makes 28.999999999999996, which is 0.29 * 100, count as 29.
    most = int(share * len(values) + 1e-9)
    return sorted(values, reverse=True)[most]


def choose(rates: Sequence[tuple[float, float]], drop_vr: float, drop_ag: float) -> Outcome:
    """Which rows stay, by their (VR, AG): pure, and the same for the same rates.

    As in the authors' code the second threshold is that of the rows which passed the first.
    """
    vr_limit = threshold([vr for vr, _ in rates], drop_vr)
    passed = [row for row, (vr, _) in enumerate(rates) if vr <= vr_limit]
    ag_limit = threshold([rates[row][1] for row in passed], drop_ag)
    kept = [row for row in passed if rates[row][1] <= ag_limit]
    by_vr = {row for row, (vr, _) in enumerate(rates) if vr > vr_limit}
    by_ag = set(passed) - set(kept)
    # The worst first; of equals the one that came first.
    return Outcome(
        tuple(kept),
        Dropped(vr_limit, tuple(sorted(by_vr, key=lambda row: (-rates[row][0], row)))),
        Dropped(ag_limit, tuple(sorted(by_ag, key=lambda row: (-rates[row][1], row)))),
    )


def filter_rows(settings: FilterSettings, console: Console | None = None) -> Outcome:
    """Writes the rows that stay, in their order, and the report. Running it again repeats it.

    Raises ConfigError for shares out of range, rows without metrics, or no matplotlib.
    """
    console = console or Console(stderr=True)
    _check(settings)
    need_matplotlib()
    with progress(console) as bar:
        task = bar.add_task("filter", total=3, note="reading")
        rows = [_checked(row, f"{settings.source}:{n}") for n, row in read_rows(settings.source)]
        rates = [(row["metrics"]["vr"], row["metrics"]["ag"]) for row in rows]
        outcome = choose(rates, settings.drop_vr, settings.drop_ag)
        bar.update(task, advance=1, note="writing rows")
        settings.target.parent.mkdir(parents=True, exist_ok=True)
        replace(settings.target, (rows[row] for row in outcome.kept))
        bar.update(task, advance=1, note="drawing")
        write_report(settings.report, rows, outcome, settings.worst)
        bar.update(task, advance=1, note="")
    return outcome


def _check(settings: FilterSettings) -> None:
    for name, share in (("drop-vr", settings.drop_vr), ("drop-ag", settings.drop_ag)):
        if not 0 <= share < 1:
            raise ConfigError([f"{name}: {share} is no share; it must be at least 0 and below 1"])
    if settings.source.resolve() == settings.target.resolve():
        raise ConfigError([f"{settings.target}: would be written over the rows that are read"])


def _checked(row: dict[str, Any], place: str) -> dict[str, Any]:
    metrics = row.get("metrics")
    for name in ("vr", "ag", "mr"):
        value = metrics.get(name) if isinstance(metrics, dict) else None
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise ConfigError([f"{place}: no number in metrics.{name}; annotate writes it"])
    for name in ("text", "words", "labels"):
        if name not in row:
            raise ConfigError([f"{place}: no field {name!r}; annotate writes it"])
    return row


def filter(  # noqa: A001 - the name of the command
    source: Annotated[Path, typer.Argument(help="Labelled rows, as annotate writes them.")],
    target: Annotated[Path, typer.Argument(help="The rows that stay.")],
    report: Annotated[
        Path | None, typer.Option(help="Directory of the report; default: beside the target.")
    ] = None,
    drop_vr: Annotated[
        float,
        typer.Option(help="Share to drop by variation rate: the paper's 0.05, its code's 0.10."),
    ] = PAPER_VR,
    drop_ag: Annotated[float, typer.Option(help="Share to drop by alignment gap.")] = DROP_AG,
    worst: Annotated[int, typer.Option(min=0, help="Dropped samples of each kind to read.")] = 20,
) -> None:
    """Drop the pairs that strayed furthest from pure deletion, with a report to look at."""
    console = Console(stderr=True)
    with exit_codes(console):
        folder = report or target.with_suffix(".report")
        outcome = filter_rows(
            FilterSettings(source, target, folder, drop_vr, drop_ag, worst), console
        )
    numbers = {
        "rows kept": len(outcome.kept),
        "dropped by variation rate": len(outcome.by_vr.rows),
        "dropped by alignment gap": len(outcome.by_ag.rows),
    }
    show(console, str(target), numbers)
    console.print(f"read {folder / 'report.md'}", highlight=False)


if __name__ == "__main__":
    typer.run(filter)
