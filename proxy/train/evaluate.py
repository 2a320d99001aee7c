"""Measures without an LLM what survives compression: answers, links, negations, highlights.

Every method keeps as many of the upstream's tokens as the others, and no rule protects anything.
What is measured is written down at once, so a run that was stopped goes on from there.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from proxy.errors import ConfigError
from proxy.train import devsets, evaluate_llmlingua, evaluate_report
from proxy.train.devsets import Text
from proxy.train.distill_console import progress
from proxy.train.distill_journal import Journal
from proxy.train.evaluate_measures import (
    Measure,
    answers_kept,
    kinds_kept,
    marks_kept,
    rate_reached,
)
from proxy.train.evaluate_methods import Method, Step, baselines, by_classifier
from proxy.train.filter_report import need_matplotlib

RATES = (0.2, 0.33, 0.5, 0.65, 0.8)
SPEED = "speed"
_VERSION = 1
"""Part of the notes' keys; raise it when a measure gives other numbers for the same texts."""
Results = dict[str, dict[str, dict[str, float]]]
"""By set and method, ``measure@rate`` -> value."""


@dataclass(frozen=True)
class Suite:
    """Texts, what is measured on them, at which rates, and what those count."""

    name: str
    texts: Sequence[Text]
    rates: tuple[float, ...]
    measure: Measure
    counted: str = "tokens"

    def key(self, method: Method) -> str:
        """Names what a method gets here: another text, rate or method has another key."""
        told = (
            str(_VERSION),
            self.name,
            self.counted,
            repr(self.rates),
            method.name,
            method.fingerprint,
        )
        texts = (f"{text.text}\0{text.questions}\0{text.marks}" for text in self.texts)
        total = hashlib.sha256("\0".join(told).encode())
        for text in texts:
            total.update(text.encode("utf-8", "surrogatepass"))
        return total.hexdigest()[:24]


def suites(data: Path, rates: Sequence[float], limit: int) -> list[Suite]:
    """All sets; ``limit`` caps the texts of each, 0 for all (debatesum: 300).

    Highlights are measured at the people's own rate of 0.38 too, evidence at 0.33.
    """
    nq, hotpot = devsets.nq(data, limit=limit), devsets.hotpot(data, limit)
    debate = devsets.marked(data, "debatesum-dev", limit or 300)
    meetings = devsets.marked(data, "qmsum-val", limit)
    at = tuple(rates)
    own, evidence = (tuple(sorted({*at, extra})) for extra in (0.38, 0.33))
    return [
        Suite("nq-oracle-dev", nq, at, answers_kept),
        Suite("nq-oracle-dev, rate in characters", nq, at, answers_kept, "characters"),
        Suite("hotpot-dev", hotpot, at, answers_kept),
        Suite("hotpot-dev, rate in characters", hotpot, at, answers_kept, "characters"),
        Suite("negations and numbers of nq-oracle-dev", nq[:60], at, kinds_kept),
        Suite("debatesum-dev", debate, own, marks_kept),
        Suite("debatesum-dev, rate in characters", debate, own, marks_kept, "characters"),
        Suite("qmsum-val", meetings, evidence, marks_kept),
        Suite("qmsum-val, rate in characters", meetings, evidence, marks_kept, "characters"),
    ]


PANELS = (
    ("nq-oracle-dev", "answers"),
    ("nq-oracle-dev", "linked"),
    ("nq-oracle-dev", "linked all"),
    ("hotpot-dev", "linked"),
    ("negations and numbers of nq-oracle-dev", "negations"),
    ("negations and numbers of nq-oracle-dev", "numbers"),
    ("debatesum-dev", "f1"),
    ("qmsum-val", "lift"),
)


def row_of(suite: Suite, method: Method, step: Step) -> dict[str, float]:
    """Every measure at each rate, and the rate that was reached; empty if it can't count so."""
    row: dict[str, float] = {}
    for rate in suite.rates:
        keeps = []
        for text in suite.texts:
            kept = method.keeps(text, rate, suite.counted)
            if kept is None:
                return {}
            keeps.append(kept)
            step()
        row |= {f"{name}@{rate}": v for name, v in suite.measure(suite.texts, keeps).items()}
        if suite.counted == "tokens":
            row[f"rate@{rate}"] = rate_reached(suite.texts, keeps)
    return row


class Notes:
    """The rows that are known: kept in memory, and on the disk if there is a file for them."""

    def __init__(self, file: Path | None) -> None:
        self._journal = Journal(file) if file else None
        rows = self._journal.rows() if self._journal else ()
        self.rows: dict[str, dict[str, float]] = {str(one["key"]): one["row"] for one in rows}

    def add(self, key: str, suite: str, method: Method, row: dict[str, float]) -> None:
        """Notes a row down; a later one of the same key counts."""
        self.rows[key] = row
        if self._journal:
            self._journal.append({"key": key, "set": suite, "method": method.name, "row": row})

    def __enter__(self) -> Notes:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._journal:
            self._journal.close()


def measure_one(
    method: Method, sets: Sequence[Suite], notes: Notes, console: Console
) -> dict[str, dict[str, float]]:
    """By set, what a method keeps of it, and its speed; each text is scored once for all sets."""
    keys = {suite.name: suite.key(method) for suite in sets}
    keys[SPEED] = f"{SPEED} of {method.name}, {method.fingerprint}"
    left = [suite for suite in sets if keys[suite.name] not in notes.rows]
    texts = {text.text: text for suite in left for text in suite.texts}
    steps = len(texts) + sum(len(suite.texts) * len(suite.rates) for suite in left)
    with progress(console) as bar:
        task = bar.add_task(f"{method.name:16}", total=steps, note="")
        method.prepare(list(texts.values()), lambda: bar.advance(task))
        for suite in left:
            bar.update(task, note=suite.name)
            row = row_of(suite, method, lambda: bar.advance(task))
            notes.add(keys[suite.name], suite.name, method, row)
    if left:
        notes.add(keys[SPEED], SPEED, method, {"ms": method.ms()})
    return {name: notes.rows.get(key, {}) for name, key in keys.items()}


def main(
    data: Path,
    models: Sequence[str] = ("builtin",),
    rates: Sequence[float] = RATES,
    limit: int = 0,
    out: Path | None = None,
    console: Console | None = None,
    package: str | None = None,
) -> Results:
    """Prints every measure of every method, and writes them to ``out`` (JSON, ``.md``, ``.png``).

    ``package`` is the checkpoint that ``llmlingua`` is measured on; if empty, the first model that
    it can read; None leaves it out, as it takes its time. Goes on from ``out`` with the ending
    ``.rows.jsonl``, where a run was stopped.
    """
    console = console or Console()
    methods = [*baselines(data), *_classifiers(models)]
    if package is not None:
        methods += _package(package, models, console)
    sets = suites(data, rates, limit)
    if out:
        need_matplotlib()
    with Notes(out.with_suffix(".rows.jsonl") if out else None) as notes:
        found = {method.name: measure_one(method, sets, notes, console) for method in methods}
    results = {
        name: {method: rows[name] for method, rows in found.items() if rows[name]}
        for name in (*(suite.name for suite in sets), SPEED)
    }
    for suite in sets:
        counts = f"{len(suite.texts)} texts, {sum(len(t.questions) for t in suite.texts)} questions"
        table = evaluate_report.table_of(f"{suite.name}: {counts}", results[suite.name])
        console.print(table)
    console.print(evaluate_report.speeds_of(results[SPEED]))
    if out:
        evaluate_report.save(results, PANELS, out)
    return results


def _classifiers(models: Sequence[str]) -> list[Method]:
    """Each under the last part of its path, or the whole where that says too little."""
    short = Counter(Path(model).name for model in models)
    names = [Path(m).name if short[Path(m).name] == 1 else m for m in models]
    return [by_classifier(model, name) for model, name in zip(models, names, strict=True)]


def _package(package: str, models: Sequence[str], console: Console) -> list[Method]:
    """``llmlingua`` on the checkpoint asked for, or on the first that it can read; or why not."""
    reasons = {}
    for model in (package,) if package else models:
        reasons[model] = evaluate_llmlingua.why_not(model)
        if not reasons[model]:
            return [evaluate_llmlingua.Package(model)]
    if package:
        raise ConfigError([f"--llmlingua: {reasons[package]}"])
    for reason in dict.fromkeys(reasons.values()):
        console.print(f"no row for llmlingua: {reason}", markup=False, highlight=False)
    return []
