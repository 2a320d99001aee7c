"""Distil: an LLM shortens texts by deleting words, and the pairs become training data.

The first stage of LLMLingua-2's way to a classifier (arXiv 2403.12968, section 3.1). Of the
authors' script it avoids: paying again for all chunks of a document that a crash interrupted
(here each answer is on the disk before the next is asked for), one request at a time with pauses,
retrying for ever whatever the error, keeping answers that were cut or refused, cutting a long
text's middle out in silence, and spending without saying how much.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from proxy.errors import ConfigError
from proxy.tokens import encoding
from proxy.train.chunks import CHUNK_TOKENS
from proxy.train.commands_llm import (
    Asking,
    BaseUrl,
    Concurrency,
    KeyEnv,
    PriceIn,
    PriceOut,
    Retries,
    Temperature,
    Timeout,
    Yes,
)
from proxy.train.distill_console import FAILED, exit_codes, progress, show
from proxy.train.distill_cost import Estimate, Price, find_price
from proxy.train.distill_journal import Journal, replace
from proxy.train.distill_llm import HttpTeacher, LitellmTeacher, Persistent, Question, Teacher
from proxy.train.distill_plan import Chunk, DistillSettings, Work, plan
from proxy.train.distill_prompt import INSTRUCTION
from proxy.train.distill_run import Desk, Tally, work


@dataclass(frozen=True, slots=True)
class DistillReport:
    """What one run did. ``cost`` is in dollars, None where the price is not known."""

    estimate: Estimate
    written: int = 0
    failed: int = 0
    left: int = 0
    """Chunks with neither an answer nor a failure: the run was stopped or declined."""
    repeated: int = 0
    blank: int = 0
    too_long: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = 0.0
    share_left: float = 0.0
    """Of the original tokens, in the answers of this run."""
    torn_bytes: int = 0
    seconds: float = 0.0
    reasons: Mapping[str, int] = field(default_factory=dict)


def distill_texts(
    settings: DistillSettings,
    confirm: Callable[[Estimate], bool] = lambda estimate: True,
    console: Console | None = None,
) -> DistillReport:
    """Runs or resumes distillation; ``confirm`` sees the estimate before a request is made.

    Raises ConfigError for bad input, UpstreamError for a fault that all chunks would share; what
    was answered until then is kept.
    """
    console = console or Console(stderr=True)
    began = time.monotonic()
    todo = plan(settings)
    with Journal(settings.target) as good, Journal(settings.failures) as bad:
        if good.torn:
            console.print(f"{settings.target}: cut off {good.torn} bytes of an unfinished row")
        done = {str(row.get("key")) for row in good.rows()}
        failed_before = {str(row.get("key")) for row in bad.rows()}
        skipped = done if settings.retry_failed else done | failed_before
        left = [chunk for chunk in todo.chunks if chunk.key not in skipped]
        estimate = _estimate(settings, left, sum(chunk.key in done for chunk in todo.chunks))
        if left and not confirm(estimate):
            return DistillReport(estimate, left=len(left))
        desk = _desk(settings, good, bad, estimate.price)
        _save_flags(settings)
        try:
            _run(settings, left, desk, console)
        finally:
            _list_failures(settings, desk, todo)
    return _report(desk, todo, estimate, good.torn, time.monotonic() - began)


def _estimate(settings: DistillSettings, left: list[Chunk], done: int) -> Estimate:
    price = settings.price or find_price(settings.model)
    overhead = settings.overhead
    original = sum(chunk.tokens for chunk in left)
    return Estimate(len(left), done, original + overhead * len(left), original, price)


def _desk(settings: DistillSettings, good: Journal, bad: Journal, price: Price | None) -> Desk:
    count = encoding("cl100k_base").count
    common = {
        "model": settings.model,
        "temperature": settings.temperature,
        "instruction": hashlib.sha256(settings.instruction.encode()).hexdigest()[:12],
    }
    return Desk(good, bad, common, price, count, settings.overhead)


def _save_flags(settings: DistillSettings) -> None:
    flags: dict[str, Any] = asdict(settings)
    del flags["api_key"]
    named = {
        name: str(value) if isinstance(value, Path) else value for name, value in flags.items()
    }
    replace(settings.target.with_suffix(".settings.json"), [named])


def _run(settings: DistillSettings, left: list[Chunk], desk: Desk, console: Console) -> None:
    with progress(console) as bar:
        task = bar.add_task("distil", total=len(left), note="")

        def step(tally: Tally) -> None:
            spent = desk.price and desk.price.of(tally.tokens_in, tally.tokens_out)
            note = f"{tally.failed} failed" + ("" if spent is None else f", ${spent:.4f}")
            bar.update(task, completed=tally.written + tally.failed, note=note)

        asyncio.run(_ask_all(settings, left, desk, step))


async def _ask_all(
    settings: DistillSettings, left: list[Chunk], desk: Desk, step: Callable[[Tally], None]
) -> None:
    async with _teacher(settings) as teacher:
        stop = asyncio.Event()
        persistent = Persistent(teacher, stop, settings.retries, settings.backoff_s)
        await work(left, persistent, desk, settings.concurrency, step)


def _teacher(settings: DistillSettings) -> Teacher:
    question = Question(
        settings.model,
        settings.instruction,
        settings.temperature,
        settings.max_tokens,
        settings.timeout_s,
        settings.api_key,
    )
    if settings.base_url:
        return HttpTeacher(settings.base_url, question, settings.concurrency)
    return LitellmTeacher(question)


def _list_failures(settings: DistillSettings, desk: Desk, todo: Work) -> None:
    """Leaves the last reason of each chunk that has no answer, and of those that get none."""
    done = {row["key"] for row in desk.good.rows()}
    latest = {row["key"]: row for row in desk.bad.rows() if row["key"] not in done}
    for chunk in todo.too_long:
        place = {"id": chunk.document, "chunk": chunk.number, "start": chunk.start}
        reason = f"too long: one word of {chunk.tokens} tokens, not asked for"
        texts = {"reason": reason, "original": chunk.text}
        latest[chunk.key] = {**place, **texts, "key": chunk.key}
    replace(settings.failures, latest.values())


def _report(desk: Desk, todo: Work, estimate: Estimate, torn: int, seconds: float) -> DistillReport:
    tally, price = desk.tally, desk.price
    return DistillReport(
        estimate,
        written=tally.written,
        failed=tally.failed,
        left=estimate.chunks - tally.written - tally.failed,
        repeated=todo.repeated,
        blank=todo.blank,
        too_long=len(todo.too_long),
        tokens_in=tally.tokens_in,
        tokens_out=tally.tokens_out,
        cost=price.of(tally.tokens_in, tally.tokens_out) if price else None,
        share_left=tally.tokens_left / max(1, tally.tokens_original),
        torn_bytes=torn,
        seconds=seconds,
        reasons=dict(tally.reasons),
    )


def distill(
    source: Annotated[Path, typer.Argument(help='Texts: JSON lines of {"text": ..., "id"?: ...}.')],
    target: Annotated[Path, typer.Argument(help="Pairs: appended to, and resumed from.")],
    model: Annotated[str, typer.Option(help="The teacher, by its provider's or litellm's name.")],
    base_url: BaseUrl = "",
    key_env: KeyEnv = "",
    instruction_file: Annotated[
        Path | None, typer.Option(help="An instruction of your own instead of the built-in one.")
    ] = None,
    temperature: Temperature = 0.3,
    chunk_tokens: Annotated[int, typer.Option(min=16, help="Longest chunk.")] = CHUNK_TOKENS,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Longest answer; default: the provider's.")
    ] = None,
    concurrency: Concurrency = 8,
    retries: Retries = 6,
    timeout: Timeout = 300.0,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    retry_failed: Annotated[
        bool, typer.Option(help="Ask again for chunks that failed in an earlier run.")
    ] = True,
    yes: Yes = False,
) -> None:
    """Let an LLM shorten texts by deleting words. Stop and start it as you like."""
    asking = Asking(
        base_url, key_env, temperature, concurrency, retries, timeout, price_in, price_out
    )
    console = Console(stderr=True)
    with exit_codes(console):
        settings = DistillSettings(
            source,
            target,
            model,
            instruction=_instruction(instruction_file),
            chunk_tokens=chunk_tokens,
            max_tokens=max_tokens,
            retry_failed=retry_failed,
            **asking.settings(),
        )

        def confirm(estimate: Estimate) -> bool:
            console.print(estimate.sentence(), highlight=False)
            return yes or typer.confirm("Go on?", err=True)

        report = distill_texts(settings, confirm, console)
    _tell(console, settings, report)
    if report.left:
        raise typer.Exit(FAILED)


def _tell(console: Console, settings: DistillSettings, report: DistillReport) -> None:
    numbers: dict[str, object] = {
        "answers written": report.written,
        "already there": report.estimate.done,
        "failed": report.failed,
        "not asked for: repeated, blank": f"{report.repeated:,}, {report.blank:,}",
        "not asked for: one long word": report.too_long,
        "tokens in, out": f"{report.tokens_in:,}, {report.tokens_out:,}",
        "spent, dollars": "unknown" if report.cost is None else report.cost,
        "share of tokens left": report.share_left,
        "seconds": report.seconds,
    }
    show(console, str(settings.target), numbers)
    for reason, times in sorted(report.reasons.items()):
        console.print(f"  {times:,} x {reason}", markup=False, highlight=False)
    if report.failed or report.too_long:
        console.print(f"failures are listed in {settings.failures}; the next run tries them again")
    if report.left:
        console.print(f"{report.left:,} chunks are left: the same command goes on from here")


def _instruction(path: Path | None) -> str:
    if path is None:
        return INSTRUCTION
    text = path.read_text("utf-8").strip()
    if not text:
        raise ConfigError([f"{path}: the instruction is empty"])
    return text


if __name__ == "__main__":
    typer.run(distill)
