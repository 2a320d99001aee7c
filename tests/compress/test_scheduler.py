"""The scheduler: the same results as without it, and a clear end to all that goes wrong."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from proxy.compress.compressor import Compressor
from proxy.compress.draft import Job
from proxy.compress.scheduler import Order, Scheduler
from proxy.compress.scorer import FakeScorer, Floats, Ints
from proxy.config_policy import Policy, RateStep
from proxy.errors import CompressionError, DeadlineExceeded, LimitError
from proxy.tokens import Encoding
from proxy.types import Mark, Passage, Rules
from tests.compress.readers import fake, reader

TEXT = "The word of a compressing number is in the words, as it was for that. " * 20
RULES = Rules(force_tokens=(".",), force_reserve_digit=True)


class Broken(FakeScorer):
    def score(self, ids: Ints) -> Floats:
        raise RuntimeError(TEXT)


class Held(FakeScorer):
    """Scores once it is let; says when it is on it."""

    def __init__(self) -> None:
        self.busy, self.let = threading.Event(), threading.Event()
        self.windows = 0

    def score(self, ids: Ints) -> Floats:
        self.busy.set()
        assert self.let.wait(30)
        self.windows += 1
        return super().score(ids)


@asynccontextmanager
async def scheduler(scorer: FakeScorer | None = None, **settings: Any) -> AsyncIterator[Scheduler]:
    compressor = Compressor(scorer, reader(), threads=2) if scorer else fake()
    made = Scheduler(compressor, **settings)
    try:
        yield made
    finally:
        if isinstance(scorer, Held):
            scorer.let.set()
        await asyncio.to_thread(made.close)


def order(rate: float | tuple[RateStep, ...] = 0.5, **settings: Any) -> Order:
    policy = Policy.model_validate({"rate": rate})
    usual = {"rules": RULES, "encoding": "cl100k_base", "deadline_ms": 60_000}
    return Order(rate_for=policy.rate_for, **{**usual, **settings})


def passage(text: str = TEXT, **settings: Any) -> Passage:
    return Passage(0, None, "user", text, **settings)


async def test_results_are_those_of_the_compressor_alone() -> None:
    marks = {"intact": (Mark(0, 70, "question"),), "forced": (Mark(75, 83, "quote"),)}
    passages = [passage(), passage(**marks), passage("Short."), passage(TEXT * 3 + "7")]
    async with scheduler() as shared:
        many = await asyncio.gather(*[shared.compress(passages, order()) for _ in range(8)])
        alone = [
            shared.compressor.run(Job(p.text, RULES, 0.5, None, p.intact, p.forced))
            for p in passages
        ]
    for results in many:
        assert [(r.text, r.kept, r.tokens_after, r.reason) for r in results] == [
            (r.text, r.kept, r.tokens_after, r.reason) for r in alone
        ]


async def test_nothing_to_do_is_done_at_once() -> None:
    async with scheduler(Broken()) as shared:
        assert await shared.compress([], order()) == ()
        left = await shared.compress([passage(reason="role"), passage("")], order())
    assert [result.reason for result in left] == ["role", "empty"]


@pytest.mark.parametrize("text,reason", [("Few words.", "short"), (TEXT, "")])
async def test_texts_below_the_least_size_stay(text: str, reason: str) -> None:
    async with scheduler() as shared:
        (result,) = await shared.compress([passage(text)], order(min_tokens=100))
    assert result.reason == reason
    assert (result.text == text) == bool(reason)


async def test_the_rate_goes_by_the_size_of_each_text() -> None:
    steps = (RateStep(over=100, rate=0.8), RateStep(over=600, rate=0.4))
    async with scheduler() as shared:
        small, middle, large = await shared.compress(
            [passage("A word. " * 5), passage(), passage(TEXT * 4)], order(rate=steps)
        )
    assert small.reason == "rate"
    assert 0.75 < middle.rate <= 0.81 and 0.3 < large.rate <= 0.41


async def test_a_deadline_ends_the_wait_and_empties_the_queue() -> None:
    held = Held()
    async with scheduler(held) as shared:
        with pytest.raises(DeadlineExceeded, match="20 ms"):
            await shared.compress([passage(TEXT * 20)], order(deadline_ms=20))
        held.let.set()
        (after,) = await shared.compress([passage()], order(deadline_ms=60_000))
        assert not after.reason
        assert shared.waiting_tokens == 0


class Slow(FakeScorer):
    """Takes its time, and counts its windows."""

    windows = 0

    def score(self, ids: Ints) -> Floats:
        time.sleep(0.03)
        self.windows += 1
        return super().score(ids)


async def test_a_deadline_that_its_speed_cannot_meet_is_refused_at_once() -> None:
    slow = Slow()
    async with scheduler(slow) as shared:
        await shared.compress([passage()], order(deadline_ms=60_000))
        known = slow.windows
        with pytest.raises(DeadlineExceeded, match=r"at its speed of late,.* 1000 ms"):
            await shared.compress([passage(TEXT * 10)], order(deadline_ms=1000))
        assert slow.windows == known
        (after,) = await shared.compress([passage()], order(deadline_ms=60_000))
    assert not after.reason


async def test_a_text_too_long_to_be_read_in_time_is_not_even_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scheduler() as shared:
        await shared.compress([passage(TEXT * 100)], order(deadline_ms=60_000))
        monkeypatch.setattr(shared, "_begin", lambda *given: pytest.fail("was read"))
        with pytest.raises(DeadlineExceeded, match="at its speed of late"):
            await shared.compress([passage(TEXT * 10_000)], order(deadline_ms=5))


async def test_a_caller_who_leaves_takes_its_windows_along() -> None:
    held = Held()
    async with scheduler(held) as shared:
        task = asyncio.create_task(shared.compress([passage(TEXT * 50)], order()))
        await asyncio.to_thread(held.busy.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        held.let.set()
        await shared.compress([passage()], order(deadline_ms=60_000))
        assert shared.waiting_tokens == 0
    assert held.windows < 100


async def test_a_full_queue_refuses_at_once() -> None:
    held = Held()
    async with scheduler(held, max_queue_tokens=500) as shared:
        first = asyncio.create_task(shared.compress([passage()], order(deadline_ms=60_000)))
        await asyncio.to_thread(held.busy.wait, 30)
        with pytest.raises(LimitError) as refused:
            await shared.compress([passage(TEXT * 2)], order(deadline_ms=60_000))
        assert refused.value.code == "compression_queue_full"
        held.let.set()
        assert not (await first)[0].reason


async def test_a_broken_classifier_is_a_clear_error_without_the_text() -> None:
    async with scheduler(Broken()) as shared:
        with pytest.raises(CompressionError) as failed:
            await shared.compress([passage()], order())
    assert "RuntimeError" in failed.value.message
    assert "compressing" not in failed.value.message


async def test_whatever_else_breaks_is_the_same_kind_of_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scheduler(FakeScorer()) as shared:
        monkeypatch.setattr(shared.compressor, "finish", lambda *given: 1 // 0)
        with pytest.raises(CompressionError) as failed:
            await shared.compress([passage()], order())
    assert "ZeroDivisionError" in failed.value.message


async def test_a_text_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    ids = Encoding.ids

    def remember(self: Encoding, text: str) -> Any:
        read.append(text)
        return ids(self, text)

    monkeypatch.setattr(Encoding, "ids", remember)
    async with scheduler() as made:
        (result,) = await made.compress([passage()], order())
    assert not result.reason
    assert read.count(TEXT) == 1
