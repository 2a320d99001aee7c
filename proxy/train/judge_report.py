"""What an evaluation with an LLM found: a row for each trial, means for each method, a table.

Methods are compared on the same examples: one that any method has no answer for is left out of all
means, and counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any

from rich.table import Table

from proxy.train.judge_plan import Trial
from proxy.train.tasks_example import Task
from proxy.train.tasks_score import score

Row = dict[str, Any]
ALL = "all"
"""The mean over data sets, each counting the same."""


@dataclass(frozen=True, slots=True)
class Line:
    """One method on one data set. ``cost`` is in dollars, None where the price is not known."""

    dataset: str
    method: str
    examples: int
    missing: int
    """Examples left out because a method has no answer for them."""
    tokens: float
    """Of a prompt, on the mean, as the LLM's tokenizer counts them."""
    material_share: float
    """Of the material's tokens that were sent."""
    scores: Mapping[str, float]
    cost: float | None
    seconds: float
    """To an answer, median."""
    compress_ms: float
    """To compress, mean."""


def rows_of(task: Task, trials: Sequence[Trial], answers: Mapping[str, Row]) -> list[Row]:
    """What each trial that has an answer asked, got, scored and took."""
    rows = []
    for trial in trials:
        answer = answers.get(trial.key)
        if answer is None:
            continue
        example = trial.example
        prompt = task.prompts[example.dataset]
        rows.append(
            {
                "task": task.name,
                "dataset": example.dataset,
                "id": example.id,
                "method": trial.method,
                "answer": answer["answer"],
                "right": example.answers,
                "scores": score(prompt, example, answer["answer"]),
                "tokens": trial.tokens,
                "material_tokens": trial.material_tokens,
                "usage": answer["usage"],
                "cost": answer["cost"],
                "seconds": answer["seconds"],
                "compress_ms": trial.compress_ms,
                "key": trial.key,
            }
        )
    return rows


def lines_of(trials: Sequence[Trial], rows: Sequence[Row]) -> list[Line]:
    """A line for each data set and method, in the trials' order; then one over all data sets."""
    methods = list(dict.fromkeys(trial.method for trial in trials))
    found = {(row["dataset"], row["id"], row["method"]): row for row in rows}
    lines: list[Line] = []
    for dataset in dict.fromkeys(trial.example.dataset for trial in trials):
        asked = dict.fromkeys(t.example.id for t in trials if t.example.dataset == dataset)
        whole = [i for i in asked if all((dataset, i, method) in found for method in methods)]
        if not whole:
            continue
        original = [found[dataset, i, methods[0]] for i in whole]
        for method in methods:
            same = [found[dataset, i, method] for i in whole]
            lines.append(_line(same, original, len(asked) - len(whole)))
    if len({line.dataset for line in lines}) > 1:
        lines += [_over_all([n for n in lines if n.method == method]) for method in methods]
    return lines


def _line(rows: Sequence[Row], original: Sequence[Row], missing: int) -> Line:
    before = sum(row["material_tokens"] for row in original)
    return Line(
        rows[0]["dataset"],
        rows[0]["method"],
        len(rows),
        missing,
        fmean(row["tokens"] for row in rows),
        sum(row["material_tokens"] for row in rows) / max(1, before),
        {name: fmean(row["scores"][name] for row in rows) for name in rows[0]["scores"]},
        _sum(row["cost"] for row in rows),
        median(row["seconds"] for row in rows),
        fmean(row["compress_ms"] for row in rows),
    )


def _over_all(lines: Sequence[Line]) -> Line:
    """The first score of each data set, each data set counting the same, as the paper averages."""
    return Line(
        ALL,
        lines[0].method,
        sum(line.examples for line in lines),
        sum(line.missing for line in lines),
        fmean(line.tokens for line in lines),
        fmean(line.material_share for line in lines),
        {"score": fmean(next(iter(line.scores.values())) for line in lines)},
        _sum(line.cost for line in lines),
        median(line.seconds for line in lines),
        fmean(line.compress_ms for line in lines),
    )


def _sum(costs: Iterable[float | None]) -> float | None:
    total = 0.0
    for cost in costs:
        if cost is None:
            return None
        total += cost
    return total


_HEAD = ("data set", "method", "n", "tokens", "sent", "scores, of 100", "$", "s", "compress ms")


def table_of(title: str, lines: Sequence[Line]) -> Table:
    """For a terminal."""
    table = Table(title=title, title_justify="left")
    for name in _HEAD:
        table.add_column(name, justify="left" if name in _HEAD[:2] else "right")
    for line in lines:
        table.add_row(*_cells(line))
    return table


def markdown_of(title: str, lines: Sequence[Line]) -> str:
    """The same for a file."""
    rows = [_HEAD, ("---",) * len(_HEAD), *map(_cells, lines)]
    return f"# {title}\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def summary_of(lines: Sequence[Line]) -> list[Row]:
    """The same for a program, numbers as numbers."""
    return [asdict(line) for line in lines]


def _cells(line: Line) -> tuple[str, ...]:
    scores = ", ".join(f"{name} {100 * value:.1f}" for name, value in line.scores.items())
    left_out = f" (-{line.missing})" if line.missing else ""
    return (
        line.dataset,
        line.method,
        f"{line.examples:,}{left_out}",
        f"{line.tokens:,.0f}",
        f"{100 * line.material_share:.0f} %",
        scores,
        "?" if line.cost is None else f"{line.cost:.4f}",
        f"{line.seconds:.2f}",
        f"{line.compress_ms:.1f}",
    )
