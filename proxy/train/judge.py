"""Judge: what compression does to an LLM's answers on the paper's tasks.

Each example is asked with its material whole, compressed, and truncated to as many tokens (arXiv
2403.12968, sections 4 and 5). ``answers.jsonl`` is what was paid for and is only appended to;
``results.jsonl``, ``failures.jsonl``, ``summary.json`` and ``table.md`` are made anew from it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from proxy.compress import Compressor
from proxy.errors import ConfigError
from proxy.train.distill_console import progress
from proxy.train.distill_cost import Price, find_price
from proxy.train.distill_journal import Journal, replace
from proxy.train.judge_ask import Questioner, Spent
from proxy.train.judge_plan import JudgeSettings, Trial, plan
from proxy.train.judge_report import Line, lines_of, markdown_of, rows_of, summary_of, table_of


@dataclass(frozen=True, slots=True)
class Budget:
    """What is about to be asked; ``price`` is None where it is not known."""

    trials: int
    questions: int
    """Answers to ask for: trials of equal prompts share one, and some may be there already."""
    tokens_in: int
    tokens_out: int
    """At most."""
    price: Price | None

    def sentence(self) -> str:
        """For a person who is about to say yes or no."""
        ask = f"{self.trials:,} trials, {self.questions:,} questions to ask: "
        ask += f"{self.tokens_in:,} tokens in, at most {self.tokens_out:,} out"
        if self.price is None:
            return f"{ask}; price unknown (--price-in and --price-out tell it)"
        return f"{ask}; at most ${self.price.of(self.tokens_in, self.tokens_out):,.4f}"


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """What one run did and what all runs into the same folder found."""

    budget: Budget
    lines: tuple[Line, ...] = ()
    asked: int = 0
    failed: int = 0
    left: int = 0
    """Questions with neither an answer nor a failure: the run was stopped or declined."""
    cost: float | None = 0.0
    """Of this run, in dollars."""


def judge(
    settings: JudgeSettings,
    confirm: Callable[[Budget], bool] = lambda budget: True,
    console: Console | None = None,
    compressor: Compressor | None = None,
) -> JudgeReport:
    """Runs or resumes an evaluation; ``confirm`` sees the budget before a request is made.

    Raises ConfigError for data that can't be read, CheckpointError for a classifier that can't be
    used, UpstreamError for a fault that all questions would share. Answers until then are kept.
    """
    console = console or Console(stderr=True)
    compressor = compressor or Compressor.load(settings.model)
    trials = _plan(settings, compressor, console)
    if not trials:
        raise ConfigError([f"{settings.data.place}: no examples of {settings.task.name}"])
    with Journal(settings.out / "answers.jsonl") as journal:
        done = {str(row["key"]) for row in journal.rows()}
        left = list({t.key: t for t in trials if t.key not in done}.values())
        budget = _budget(settings, trials, left)
        if left and not confirm(budget):
            return JudgeReport(budget, left=len(left))
        questioner = Questioner(settings, journal, budget.price)
        _save_flags(settings, compressor)
        try:
            _ask(questioner, left, console)
        finally:
            # Also after a fault that ends the run: what it paid for is told.
            lines = _write(settings, trials, journal, questioner.spent)
    spent, price = questioner.spent, budget.price
    cost = price.of(spent.tokens_in, spent.tokens_out) if price else None
    rest = len(left) - spent.asked - spent.failed
    return JudgeReport(budget, tuple(lines), spent.asked, spent.failed, rest, cost)


def _plan(settings: JudgeSettings, compressor: Compressor, console: Console) -> list[Trial]:
    with progress(console) as bar:
        task = bar.add_task("compress", total=None, note="")
        return plan(settings, compressor, lambda number: bar.update(task, completed=number))


def _budget(settings: JudgeSettings, trials: Sequence[Trial], left: Sequence[Trial]) -> Budget:
    tokens_in = sum(trial.tokens for trial in left)
    tokens_out = sum(trial.answer_tokens for trial in left)
    price = settings.price or find_price(settings.llm)
    return Budget(len(trials), len(left), tokens_in, tokens_out, price)


def _ask(questioner: Questioner, left: Sequence[Trial], console: Console) -> None:
    with progress(console) as bar:
        task = bar.add_task("ask", total=len(left), note="")

        def step(spent: Spent) -> None:
            cost = questioner.price and questioner.price.of(spent.tokens_in, spent.tokens_out)
            note = f"{spent.failed} failed" + ("" if cost is None else f", ${cost:.4f}")
            bar.update(task, completed=spent.asked + spent.failed, note=note)

        asyncio.run(questioner.ask(left, step))


def _write(
    settings: JudgeSettings, trials: Sequence[Trial], journal: Journal, spent: Spent
) -> list[Line]:
    answers = {str(row["key"]): row for row in journal.rows()}
    rows = rows_of(settings.task, trials, answers)
    lines = lines_of(trials, rows)
    replace(settings.out / "results.jsonl", rows)
    replace(settings.out / "failures.jsonl", _failures(trials, spent))
    summary = {"task": settings.task.name, "llm": settings.llm, "lines": summary_of(lines)}
    (settings.out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", "utf-8")
    title = f"{settings.task.name}, answered by {settings.llm}"
    (settings.out / "table.md").write_text(markdown_of(title, lines), "utf-8")
    return lines


def _failures(trials: Sequence[Trial], spent: Spent) -> list[dict[str, Any]]:
    return [
        {
            "dataset": trial.example.dataset,
            "id": trial.example.id,
            "method": trial.method,
            "reason": spent.reasons[trial.key],
        }
        for trial in trials
        if trial.key in spent.reasons
    ]


def _save_flags(settings: JudgeSettings, compressor: Compressor) -> None:
    flags: dict[str, Any] = asdict(settings)
    del flags["api_key"]
    flags["task"] = settings.task.name
    flags["data"]["datasets"] = sorted(settings.data.datasets)
    flags["classifier"] = {
        "name": compressor.name,
        "fingerprint": compressor.scorer.fingerprint,
    }
    named = json.dumps(flags, indent=1, default=_plain)
    (settings.out / "settings.json").write_text(named + "\n", "utf-8")


def _plain(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def tell(console: Console, settings: JudgeSettings, report: JudgeReport) -> None:
    """The table, and what to know about the run."""
    console.print(table_of(f"{settings.task.name}, {settings.task.compressed}", report.lines))
    cost = "unknown" if report.cost is None else f"${report.cost:,.4f}"
    console.print(f"{report.asked:,} answers in this run, spent: {cost}", highlight=False)
    if report.left:
        console.print(f"{report.left:,} questions are left: the same command goes on from here")
    if report.failed:
        console.print(f"{report.failed:,} have none: see {settings.out / 'failures.jsonl'}")
