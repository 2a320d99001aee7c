"""Works off the chunks that are left, some at a time, and puts each answer on the disk at once.

A chunk is known by the hash of (chunk, instruction, model, temperature). One whose answer is
written is never asked for again; only what was in flight when a process was killed can be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from proxy.train.asking import Streak, ask_all
from proxy.train.distill_cost import Price
from proxy.train.distill_journal import Journal
from proxy.train.distill_llm import Answer, GiveUp, Persistent
from proxy.train.distill_plan import Chunk
from proxy.train.distill_prompt import clean, fault


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
        self._streak = Streak("chunks")

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
        self._streak.broken()

    def fail(self, chunk: Chunk, reason: str, used: Mapping[str, Any] | None = None) -> None:
        """Lists a chunk that has no answer. Raises UpstreamError when nothing succeeds any more."""
        place = {"id": chunk.document, "chunk": chunk.number, "start": chunk.start}
        self.bad.append(
            {**place, "reason": reason, "original": chunk.text, **(used or {}), "key": chunk.key}
        )
        self.tally.failed += 1
        self.tally.reasons[reason.partition(":")[0]] += 1
        self._streak.failed(reason)

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

    async def ask(chunk: Chunk) -> None:
        try:
            answer = await persistent.ask(chunk.text.strip())
        except GiveUp as exc:
            desk.fail(chunk, str(exc))
        else:
            desk.take(chunk, answer)

    await ask_all(chunks, ask, persistent.stop, concurrency, lambda: step(desk.tally))
