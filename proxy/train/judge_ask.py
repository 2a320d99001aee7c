"""Asks the LLM for every answer that is not on the disk yet, some at a time.

An answer is written when it comes, so a run that is stopped or fails goes on from there; only what
was in flight when a process was killed is asked for again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, fields
from types import TracebackType
from typing import Any, cast

from proxy.tokens import encoding, encoding_for
from proxy.train.asking import Streak, ask_all
from proxy.train.distill_cost import Price
from proxy.train.distill_journal import Journal
from proxy.train.distill_llm import (
    Answer,
    GiveUp,
    HttpTeacher,
    LitellmTeacher,
    Persistent,
    Question,
    Teacher,
)
from proxy.train.judge_plan import JudgeSettings, Trial


@dataclass(frozen=True, slots=True)
class Prompted(Question):
    """A request without a system message, as the benchmarks are asked."""

    def body(self, text: str) -> dict[str, Any]:
        """The fields of a chat completion."""
        body = Question.body(self, text)
        return body | {"messages": [{"role": "user", "content": text}]}


@dataclass(frozen=True, slots=True)
class TimedAnswer(Answer):
    """An answer and the seconds it took, without tries that failed and waits between them."""

    seconds: float = 0.0


class Timed:
    """A teacher whose answers tell their time."""

    def __init__(self, teacher: Teacher) -> None:
        self.teacher = teacher

    async def __aenter__(self) -> Timed:
        await self.teacher.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.teacher.__aexit__(kind, error, trace)

    async def ask(self, text: str) -> TimedAnswer:
        """One try; raises what the teacher raises."""
        started = time.perf_counter()
        answer = await self.teacher.ask(text)
        told = {one.name: getattr(answer, one.name) for one in fields(Answer)}
        return TimedAnswer(**told, seconds=time.perf_counter() - started)


@dataclass(slots=True)
class Spent:
    """What one run did, so far."""

    asked: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    reasons: dict[str, str] = field(default_factory=dict)
    """By the key of a trial that has no answer."""


class Questioner:
    """Puts trials to the LLM and files the answers."""

    def __init__(self, settings: JudgeSettings, journal: Journal, price: Price | None) -> None:
        self.settings = settings
        self.journal = journal
        self.price = price
        self.spent = Spent()
        self._stop = asyncio.Event()
        self._streak = Streak("questions")

    async def ask(self, trials: Sequence[Trial], step: Callable[[Spent], None]) -> None:
        """Asks for the answer of each trial; the trials' keys must differ.

        Returns early at an interrupt. Raises UpstreamError for what would fail every trial, after
        those in flight came back.
        """
        async with AsyncExitStack() as stack:
            lengths = sorted({trial.answer_tokens for trial in trials})
            persistent = {tokens: await self._persistent(stack, tokens) for tokens in lengths}

            async def one(trial: Trial) -> None:
                try:
                    answer = await persistent[trial.answer_tokens].ask(trial.prompt)
                except GiveUp as exc:
                    self._fail(trial, str(exc))
                else:
                    # Persistent hands on what the teacher gave, and all teachers here are timed.
                    self._file(trial, cast(TimedAnswer, answer))

            concurrency = self.settings.concurrency
            await ask_all(trials, one, self._stop, concurrency, lambda: step(self.spent))

    async def _persistent(self, stack: AsyncExitStack, tokens: int) -> Persistent:
        """The LLM for answers of one length."""
        settings = self.settings
        question = Prompted(
            settings.llm, "", settings.temperature, tokens, settings.timeout_s, settings.api_key
        )
        teacher: Teacher = LitellmTeacher(question)
        if settings.base_url:
            teacher = HttpTeacher(settings.base_url, question, settings.concurrency)
        timed = await stack.enter_async_context(Timed(teacher))
        return Persistent(timed, self._stop, settings.retries, settings.backoff_s)

    def _file(self, trial: Trial, answer: TimedAnswer) -> None:
        tokens_in, tokens_out = answer.tokens_in, answer.tokens_out
        told = tokens_in is not None and tokens_out is not None
        if tokens_in is None or tokens_out is None:
            tokens_in = trial.tokens
            tokens_out = encoding(encoding_for(self.settings.llm)).count(answer.text)
        row = {
            "key": trial.key,
            "answer": answer.text,
            "finish_reason": answer.finish_reason,
            "usage": {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "told": told},
            "cost": self.price and self.price.of(tokens_in, tokens_out),
            "seconds": answer.seconds,
        }
        self.journal.append(row)
        self.spent.asked += 1
        self.spent.tokens_in += tokens_in
        self.spent.tokens_out += tokens_out
        self._streak.broken()

    def _fail(self, trial: Trial, reason: str) -> None:
        self.spent.failed += 1
        self.spent.reasons[trial.key] = reason
        self._streak.failed(reason)
