"""Annotate: pairs of a text and its compressed form become a keep or drop label for each word.

The second stage of LLMLingua-2's way to a classifier (arXiv 2403.12968, section 3.2). Labels stand
on the surface text by character offsets, cut into the very units that are served
(``proxy.compress.words``). The authors' script labels a stream of lemmas without commas that no
text at inference ever looks like, and never writes a text whose chunks and answers differ in
number; here every pair gets its row, or is listed with the reason why not.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import typer
from rich.console import Console

from proxy.compress.words import split
from proxy.errors import ConfigError
from proxy.train.annotate_align import ALIGNMENTS, WINDOW, Align, TooLong
from proxy.train.annotate_stem import key
from proxy.train.distill_console import exit_codes, progress, show
from proxy.train.distill_journal import Journal, read_rows, text_of
from proxy.types import Span


@dataclass(frozen=True, slots=True)
class Metrics:
    """The paper's measures of a pair, each in [0, 1]; O are the original words, C the others."""

    vr: float
    """Variation rate: share of C that is not in O."""
    mr: float
    """Matching rate: share of O that is labelled keep."""
    hr: float
    """Hitting rate: how many of C are in O, by the size of O; 1 where an answer is longer."""
    ag: float
    """Alignment gap, ``hr - mr``: words that are in O and were matched to none of it."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Words of a text as character spans, and for each whether it is kept (1) or not (0)."""

    words: tuple[Span, ...]
    labels: tuple[int, ...]
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class AnnotateSettings:
    """From pairs to rows, and how words are found again (``annotate_align`` tells the ways)."""

    source: Path
    target: Path
    method: str = "both"
    window: int = WINDOW
    source_name: str = "distilled"
    """Where the row's pair does not say its ``source``: ``fit`` weighs by it."""
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class AnnotateReport:
    """What one run did, and the means over all rows that are now in the target."""

    written: int
    done_before: int
    repeated: int
    skipped: Mapping[str, str]
    """Place of a pair that got no row, and the reason."""
    means: Metrics | None
    seconds: float


def label(
    original: str,
    compressed: str,
    align: Align = ALIGNMENTS["both"],
    window: int = WINDOW,
) -> Labelled:
    """Labels for the words of ``original``. Raises TooLong if ``align`` does."""
    units = split(original)
    others = split(compressed).strings
    positions = align(units.strings, others, window)
    kept = {at for at in positions if at is not None}
    labels = tuple(int(index in kept) for index in range(len(units)))
    spans = zip(units.starts.tolist(), units.ends.tolist(), strict=True)
    return Labelled(tuple(spans), labels, measure(units.strings, others, len(kept)))


def measure(original: Sequence[str], compressed: Sequence[str], kept: int) -> Metrics:
    """The four rates; words are in a text if an equal one up to case and inflection is.

    A share of no words at all is 0.
    """
    known = {key(word) for word in original}
    hits = sum(key(word) in known for word in compressed)
    n, m = max(1, len(original)), max(1, len(compressed))
    capped = min(hits, len(original))
    # One division each: equal shares are equal numbers, which filtering by rank relies on.
    return Metrics((len(compressed) - hits) / m, kept / n, capped / n, (capped - kept) / n)


def annotate_pairs(settings: AnnotateSettings, console: Console | None = None) -> AnnotateReport:
    """Annotates the pairs that the target has no row of yet.

    Raises ConfigError for a bad row, with its line, and for a target that was made otherwise.
    """
    console = console or Console(stderr=True)
    began = time.monotonic()
    if settings.method not in ALIGNMENTS:
        raise ConfigError([f"no method {settings.method!r}; there are {', '.join(ALIGNMENTS)}"])
    pairs = list(read_rows(settings.source))
    skipped: dict[str, str] = {}
    with Journal(settings.target) as journal, progress(console) as bar:
        metrics = _done(journal, settings)
        before = len(metrics)
        for number, pair in bar.track(pairs, task_id=bar.add_task("annotate", note="")):
            place = f"{settings.source}:{number}"
            name = _key(pair, place)
            if name in metrics:
                continue
            try:
                row = _row(pair, name, settings, place)
            except TooLong as exc:
                skipped[place] = str(exc)
                continue
            if not row["words"]:
                skipped[place] = "no words"
                continue
            journal.append(row)
            metrics[name] = row["metrics"]
    written = len(metrics) - before
    return AnnotateReport(
        written,
        before,
        len(pairs) - written - len(skipped),
        skipped,
        _means(list(metrics.values())),
        time.monotonic() - began,
    )


def _done(journal: Journal, settings: AnnotateSettings) -> dict[str, Mapping[str, float]]:
    """Metrics of the rows that are there, by key. A file of two kinds of labels is an error."""
    done = {}
    for row in journal.rows():
        if row.get("method") != _method(settings):
            raise ConfigError(
                [
                    f"{journal.path}: its rows were made by {row.get('method')!r}, not "
                    f"{_method(settings)!r}; name another file or remove this one"
                ]
            )
        done[str(row["key"])] = row["metrics"]
    return done


def _method(settings: AnnotateSettings) -> str:
    if settings.method == "exact":
        return "exact"
    return f"{settings.method}-{settings.window}"


def _key(pair: Mapping[str, Any], place: str) -> str:
    """The name that distillation gave the pair, else a hash of its texts."""
    if isinstance(pair.get("key"), str):
        return str(pair["key"])
    texts = _original(pair, place) + "\0" + text_of(pair, ("compressed",), place)
    return hashlib.sha256(texts.encode("utf-8", "surrogatepass")).hexdigest()


def _original(pair: Mapping[str, Any], place: str) -> str:
    return text_of(pair, ("original", "text"), place)


def _row(
    pair: Mapping[str, Any], name: str, settings: AnnotateSettings, place: str
) -> dict[str, Any]:
    """One row in the format that ``fit`` reads. ``doc`` keeps a document's chunks together."""
    text = _original(pair, place)
    compressed = text_of(pair, ("compressed",), place)
    labelled = label(text, compressed, ALIGNMENTS[settings.method], settings.window)
    measured = labelled.metrics
    return {
        "text": text,
        "words": labelled.words,
        "labels": labelled.labels,
        "doc": str(pair.get("id", pair.get("doc", name[:16]))),
        "source": str(pair.get("source", settings.source_name)),
        "weight": float(pair.get("weight", settings.weight)),
        "metrics": {"vr": measured.vr, "mr": measured.mr, "hr": measured.hr, "ag": measured.ag},
        "compressed": compressed,
        "method": _method(settings),
        "key": name,
    }


def _means(metrics: Sequence[Mapping[str, float]]) -> Metrics | None:
    if not metrics:
        return None
    return Metrics(*(fmean(row[name] for row in metrics) for name in ("vr", "mr", "hr", "ag")))


def annotate(
    source: Annotated[Path, typer.Argument(help="Pairs, as distill writes them.")],
    target: Annotated[Path, typer.Argument(help="Labelled rows: appended to, and resumed from.")],
    method: Annotated[
        str, typer.Option(help="window (the paper's), exact (keeps the order) or both.")
    ] = "both",
    window: Annotated[int, typer.Option(min=1, help="Words to each side.")] = WINDOW,
    source_name: Annotated[
        str, typer.Option(help="Source of rows whose pair names none.")
    ] = "distilled",
    weight: Annotated[float, typer.Option(min=0.0, help="Weight of these rows in fit.")] = 1.0,
) -> None:
    """Label each word of the originals as kept or dropped, by what their answers left."""
    console = Console(stderr=True)
    with exit_codes(console):
        settings = AnnotateSettings(source, target, method, window, source_name, weight)
        report = annotate_pairs(settings, console)
    numbers: dict[str, object] = {
        "rows written": report.written,
        "already there": report.done_before,
        "skipped": len(report.skipped),
        "seconds": report.seconds,
    }
    if report.means:
        numbers |= {
            "mean share of words not in the original (VR)": report.means.vr,
            "mean share of words kept (MR)": report.means.mr,
            "mean hitting rate (HR)": report.means.hr,
            "mean alignment gap (AG)": report.means.ag,
        }
    show(console, str(target), numbers)
    for place, reason in report.skipped.items():
        console.print(f"  {place}: {reason}", markup=False, highlight=False)


if __name__ == "__main__":
    typer.run(annotate)
