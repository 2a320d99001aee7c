"""The only asynchronous part of compression: many requests, a few threads, one queue of windows.

The event loop never waits for the tokenizer or the classifier; both run in threads of their own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar, TypeVarTuple, cast

from proxy.compress.compressor import Compressor
from proxy.compress.draft import Draft, Job, unchanged
from proxy.compress.queue import WindowQueue, Work
from proxy.compress.scorer import Floats
from proxy.errors import CompressionError, DeadlineExceeded, LimitError, PrecisError
from proxy.tokens import encoding
from proxy.types import Compressed, Passage, Rules

T = TypeVar("T")
Args = TypeVarTuple("Args")

Steps = tuple[tuple[int, float], ...]
"""``(over, rate)`` pairs, growing in ``over``."""


@dataclass(frozen=True)
class Order:
    """How the passages of one request are to be compressed."""

    rules: Rules
    rate: float | Steps
    encoding: str
    target_tokens: int | None = None
    min_tokens: int = 0
    deadline_ms: float = 2000
    tenant: str = ""

    def rate_for(self, tokens: int) -> float:
        """The rate for a passage of that many tokens; 1.0 below the first step."""
        if not isinstance(self.rate, tuple):
            return self.rate
        reached = [rate for over, rate in self.rate if tokens > over]
        return reached[-1] if reached else 1.0


class Scheduler:
    """Compresses requests' passages with one classifier, in threads."""

    def __init__(self, compressor: Compressor, *, max_queue_tokens: int = 2_000_000) -> None:
        self.compressor = compressor
        self._max_queue_tokens = max_queue_tokens
        self._queue = WindowQueue(compressor.score, compressor.threads)
        # Splitting and choosing hold the interpreter's lock for much of their time, so more
        # threads would only make them wait for one another.
        self._hands = ThreadPoolExecutor(2, thread_name_prefix="prepare")

    @property
    def waiting_tokens(self) -> int:
        """Tokens that wait for the classifier."""
        return self._queue.waiting_tokens

    async def compress(self, passages: Sequence[Passage], order: Order) -> tuple[Compressed, ...]:
        """One result a passage, in order.

        Raises DeadlineExceeded, LimitError (full queue) or CompressionError. If the caller is
        cancelled, what is queued for it is dropped.
        """
        if not passages:
            return ()
        try:
            async with asyncio.timeout(order.deadline_ms / 1000):
                return await self._compress(passages, order)
        except TimeoutError as exc:
            raise DeadlineExceeded(
                f"compression took longer than the policy's {order.deadline_ms:.0f} ms; raise "
                "deadline_ms, lower the load, or use a faster model"
            ) from exc
        except PrecisError:
            raise
        except Exception as exc:  # whatever it is, the policy's on_error decides what comes of it
            raise CompressionError(f"compression failed: {type(exc).__name__}") from exc

    async def _compress(self, passages: Sequence[Passage], order: Order) -> tuple[Compressed, ...]:
        started = time.perf_counter()
        begun = await self.in_thread(self._begin, passages, order)
        read = time.perf_counter()
        drafts = [draft for draft in begun if isinstance(draft, Draft)]
        if not drafts:
            return cast("tuple[Compressed, ...]", tuple(begun))
        scores = await self._score(drafts, order.tenant)
        scored = time.perf_counter()
        done = await self.in_thread(self._finish, begun, scores, order)
        ended = time.perf_counter()
        ms = {"tokenize": read - started, "score": scored - read, "select": ended - scored}
        spent = {stage: 1000 * seconds for stage, seconds in ms.items()}
        return tuple(replace(result, ms=spent) if not result.reason else result for result in done)

    def _begin(self, passages: Sequence[Passage], order: Order) -> list[Compressed | Draft]:
        return [self._begin_one(passage, order) for passage in passages]

    def _begin_one(self, passage: Passage, order: Order) -> Compressed | Draft:
        text = passage.text
        tokens = encoding(order.encoding).count(text)
        reason = passage.reason
        if tokens < order.min_tokens and reason not in ("role", "empty"):
            reason = "short"
        if reason:
            return unchanged(text, tokens, reason)
        job = Job(
            text,
            order.rules,
            order.rate_for(tokens),
            order.target_tokens,
            passage.intact,
            passage.forced,
        )
        return self.compressor.settle(job, order.encoding) or Draft.of(job, self.compressor.reader)

    async def _score(self, drafts: Sequence[Draft], tenant: str) -> list[list[Floats]]:
        windows = [draft.ids(window) for draft in drafts for window in draft.windows]
        if not windows:
            return [[] for _ in drafts]
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()

        def done() -> None:
            loop.call_soon_threadsafe(ready.set)

        work = Work(tenant, windows, done)
        if self._queue.waiting_tokens + work.tokens > self._max_queue_tokens:
            raise LimitError(
                "too many tokens wait for compression; try again later or raise "
                "compressor.max_queue_tokens",
                code="compression_queue_full",
            )
        self._queue.put(work)
        try:
            await ready.wait()
        finally:
            self._queue.cancel(work)
        if work.error is not None:
            raise CompressionError(
                f"the classifier failed: {type(work.error).__name__}"
            ) from work.error
        flat = iter(cast("list[Floats]", work.scores))
        return [[next(flat) for _ in draft.windows] for draft in drafts]

    def _finish(
        self, begun: list[Compressed | Draft], scores: list[list[Floats]], order: Order
    ) -> list[Compressed]:
        left = iter(scores)
        return [
            self.compressor.finish(item, next(left), order.encoding)
            if isinstance(item, Draft)
            else item
            for item in begun
        ]

    async def in_thread(self, function: Callable[[*Args], T], *args: *Args) -> T:
        """The function's result; it runs in one of the threads that prepare texts."""
        return await asyncio.get_running_loop().run_in_executor(self._hands, function, *args)

    def close(self) -> None:
        """Stop the threads."""
        self._queue.close()
        self._hands.shutdown(cancel_futures=True)
