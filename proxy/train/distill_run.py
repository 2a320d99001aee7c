"""Works off the chunks that are left, some at a time, and puts each answer on the disk at once.

A chunk is known by the hash of (chunk, instruction, model, temperature). One whose answer is
written is never asked for again; only what was in flight when a process was killed can be. An
interrupt (Ctrl-C, SIGTERM) starts no more chunks and waits for those in flight, which are paid for
anyway; a second one waits for nothing.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from proxy.errors import UpstreamError
from proxy.train.distill_cost import Price
from proxy.train.distill_journal import Journal
from proxy.train.distill_llm import Answer, GiveUp, Persistent, Stopped
from proxy.train.distill_plan import Chunk
from proxy.train.distill_prompt import clean, fault

FAILURES_IN_A_ROW = 20
"""After so many, with no answer between them, something is wrong with all: the run ends."""


@dataclass(slots=True)
class Tally:
    """What one run did, so far."""

    written: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_original: int = 0
    tokens_left: int = 0
    """Of the original ones, in usable answers; reasoning and wrappings are not among them."""
    reasons: Counter[str] = field(default_factory=Counter)
    in_a_row: int = 0


class Desk:
    """Judges answers and files them: the good ones in one journal, the failures in another."""

    def __init__(
        self,
        good: Journal,
        bad: Journal,
        common: Mapping[str, Any],
        price: Price | None,
        count: Callable[[str], int],
        overhead: int,
    ) -> None:
        self.good = good
        self.bad = bad
        self.common = common
        """Fields that every record has: model, temperature, the instruction's hash."""
        self.price = price
        self.count = count
        self.overhead = overhead
        """Tokens that go in beside the chunk."""
        self.tally = Tally()

    def take(self, chunk: Chunk, answer: Answer) -> None:
        """Files an answer. What came back is paid for, usable or not."""
        used = self._usage(chunk, answer)
        compressed = clean(answer.text, chunk.text)
        reason = fault(compressed, chunk.text, answer.finish_reason, answer.refusal)
        if reason:
            self.fail(chunk, reason, used)
            return
        place = {"id": chunk.document, "chunk": chunk.number, "start": chunk.start}
        texts = {"original": chunk.text, "compressed": compressed}
        source = {"source": chunk.source} if chunk.source else {}
        self.good.append({**place, **texts, **self.common, **source, **used, "key": chunk.key})
        self.tally.written += 1
        self.tally.tokens_original += chunk.tokens
        self.tally.tokens_left += self.count(compressed)
        self.tally.in_a_row = 0

    def fail(self, chunk: Chunk, reason: str, used: Mapping[str, Any] | None = None) -> None:
        """Lists a chunk that has no answer. Raises UpstreamError when nothing succeeds any more."""
        place = {"id": chunk.document, "chunk": chunk.number, "start": chunk.start}
        self.bad.append(
            {**place, "reason": reason, "original": chunk.text, **(used or {}), "key": chunk.key}
        )
        self.tally.failed += 1
        self.tally.reasons[reason.partition(":")[0]] += 1
        self.tally.in_a_row += 1
        if self.tally.in_a_row >= FAILURES_IN_A_ROW:
            raise UpstreamError(f"{self.tally.in_a_row} chunks failed in a row, at last: {reason}")

    def _usage(self, chunk: Chunk, answer: Answer) -> dict[str, Any]:
        """Tokens as told by the provider, else as counted here, and dollars if there is a price."""
        told = answer.tokens_in is not None and answer.tokens_out is not None
        tokens_in, tokens_out = answer.tokens_in or 0, answer.tokens_out or 0
        if not told:
            tokens_in = chunk.tokens + self.overhead
            tokens_out = self.count(answer.text)
        self.tally.tokens_in += tokens_in
        self.tally.tokens_out += tokens_out
        usage = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "told": told}
        return {"usage": usage, "cost": self.price and self.price.of(tokens_in, tokens_out)}


async def work(
    chunks: Sequence[Chunk],
    persistent: Persistent,
    desk: Desk,
    concurrency: int,
    step: Callable[[Tally], None],
) -> None:
    """Asks for all chunks, ``concurrency`` at a time; returns early if ``persistent.stop`` is set.

    Raises UpstreamError for what would fail every chunk, after those in flight came back.
    """
    queue = iter(chunks)
    fatal: list[UpstreamError] = []
    with _Interrupts(persistent.stop):
        workers = [_worker(queue, persistent, desk, fatal, step) for _ in range(concurrency)]
        await asyncio.gather(*workers)
    if fatal:
        raise fatal[0]


async def _worker(
    queue: Iterator[Chunk],
    persistent: Persistent,
    desk: Desk,
    fatal: list[UpstreamError],
    step: Callable[[Tally], None],
) -> None:
    for chunk in queue:  # one iterator for all workers: each takes what comes next
        if persistent.stop.is_set():
            return
        try:
            await _one(chunk, persistent, desk)
        except Stopped:
            return
        except UpstreamError as exc:
            fatal.append(exc)
            persistent.stop.set()
        step(desk.tally)


async def _one(chunk: Chunk, persistent: Persistent, desk: Desk) -> None:
    try:
        answer = await persistent.ask(chunk.text.strip())
    except GiveUp as exc:
        desk.fail(chunk, str(exc))
    else:
        desk.take(chunk, answer)


class _Interrupts:
    """While entered, a first SIGINT or SIGTERM sets the event; a second one acts as ever.

    Signals reach the main thread alone, so elsewhere (and where the loop can't, on Windows) this
    does nothing and an interrupt ends the run at once, which loses nothing that is written.
    """

    def __init__(self, stop: asyncio.Event) -> None:
        self.stop = stop
        self.signals: tuple[signal.Signals, ...] = ()
        if sys.platform != "win32" and threading.current_thread() is threading.main_thread():
            self.signals = (signal.SIGINT, signal.SIGTERM)

    def __enter__(self) -> None:
        for number in self.signals:
            asyncio.get_running_loop().add_signal_handler(number, self._first)

    def __exit__(self, *_: object) -> None:
        for number in self.signals:
            asyncio.get_running_loop().remove_signal_handler(number)

    def _first(self) -> None:
        self.stop.set()
        self.__exit__()
