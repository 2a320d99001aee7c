"""The only asynchronous part of compression: many requests, a few threads, one queue of windows.

The event loop never waits for the tokenizer or the classifier; both run in threads of their own.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar, TypeVarTuple, cast

from proxy.compress.compressor import Compressor
from proxy.compress.draft import Draft, Job, as_it_came
from proxy.compress.hands import Hands
from proxy.compress.pace import Pace
from proxy.compress.queue import WindowQueue, Work
from proxy.compress.score_cache import Gaps, Lookup, ScoreCache
from proxy.compress.scorer import Floats
from proxy.errors import CompressionError, DeadlineExceeded, LimitError, PrecisError
from proxy.tokens import encoding
from proxy.types import Compressed, Passage, Rules

T = TypeVar("T")
Args = TypeVarTuple("Args")

_SMALL = 20_000
"""Characters below which preparing takes no time that tells how long more would take."""
_SLACK = 1.25
"""How many times over a deadline an estimate must be before a request is refused for it."""


@dataclass(frozen=True)
class Order:
    """How the passages of one request are to be compressed."""

    rules: Rules
    rate_for: Callable[[int], float]
    """The share to keep of a passage of so many tokens."""
    encoding: str
    target_tokens: int | None = None
    min_tokens: int = 0
    pays_over: float = 0
    """Tokens below which compression costs more than it saves."""
    deadline_ms: float = 2000
    tenant: str = ""


class Scheduler:
    """Compresses requests' passages with one classifier, in threads."""

    def __init__(
        self,
        compressor: Compressor,
        *,
        max_queue_tokens: int = 2_000_000,
        cache: ScoreCache | None = None,
    ) -> None:
        self.compressor = compressor
        self.cache = cache
        self._max_queue_tokens = max_queue_tokens
        self._queue = WindowQueue(
            compressor.score,
            compressor.threads,
            many=compressor.score_many if compressor.batch_tokens else None,
            batch_tokens=compressor.batch_tokens,
        )
        self._hands = Hands()
        self._reading, self._choosing = Pace(), Pace()  # characters per second

    @property
    def waiting_tokens(self) -> int:
        """Tokens that wait for the classifier."""
        return self._queue.waiting_tokens

    async def compress(self, passages: Sequence[Passage], order: Order) -> tuple[Compressed, ...]:
        """One result a passage, in order.

        Raises DeadlineExceeded, LimitError (full queue) or CompressionError. If the caller is
        cancelled, what is queued for it is dropped. A deadline that the speed of late can't meet
        is refused at once.
        """
        if not passages:
            return ()
        late = asyncio.get_running_loop().time() + order.deadline_ms / 1000
        try:
            async with asyncio.timeout_at(late):
                return await self._compress(passages, order, late)
        except TimeoutError as exc:
            raise DeadlineExceeded(
                f"compression took longer than the policy's {order.deadline_ms:.0f} ms; raise "
                "deadline_ms, lower the load, or use a faster model"
            ) from exc
        except PrecisError:
            raise
        except Exception as exc:  # whatever it is, the policy's on_error decides what comes of it
            raise CompressionError(f"compression failed: {type(exc).__name__}") from exc

    async def _compress(
        self, passages: Sequence[Passage], order: Order, late: float
    ) -> tuple[Compressed, ...]:
        size = sum(len(passage.text) for passage in passages if not passage.reason)
        to_choose = self._choosing.seconds_for(size)
        _be_in_time(self._reading.seconds_for(size) + to_choose, order, late)
        started = time.perf_counter()
        begun = await self._begin_all(passages, order, size)
        read = time.perf_counter()
        lookups = [item for item in begun if isinstance(item, Lookup)]
        if not lookups:
            return cast("tuple[Compressed, ...]", tuple(begun))
        if self.cache is not None:
            await self.cache.complete(lookups)
        scores = await self._score(lookups, order, late - to_choose)
        scored = time.perf_counter()
        finish = partial(self._finish, begun, scores, order)
        done = await self.in_thread(size, _timed, self._choosing, size, finish)
        ended = time.perf_counter()
        ms = {"tokenize": read - started, "score": scored - read, "select": ended - scored}
        spent = {stage: 1000 * seconds for stage, seconds in ms.items()}
        return tuple(replace(result, ms=spent) if not result.reason else result for result in done)

    async def _begin_all(
        self, passages: Sequence[Passage], order: Order, size: int
    ) -> list[Compressed | Lookup]:
        gone = threading.Event()
        try:
            begin = partial(self._begin, passages, order, gone)
            return await self.in_thread(size, _timed, self._reading, size, begin)
        finally:
            gone.set()

    def _begin(
        self, passages: Sequence[Passage], order: Order, gone: threading.Event
    ) -> list[Compressed | Lookup]:
        # Cut short, nobody is there any more to see it.
        return [self._begin_one(passage, order) for passage in passages if not gone.is_set()]

    def _begin_one(self, passage: Passage, order: Order) -> Compressed | Lookup:
        ids = encoding(order.encoding).ids(passage.text)
        tokens = len(ids)
        reason = passage.reason
        if tokens < order.min_tokens and reason not in ("role", "empty"):
            reason = "short"
        elif tokens < order.pays_over and not reason:
            reason = "no saving"
        job = Job.of(passage, order.rules, order.rate_for(tokens), order.target_tokens, ids)
        if reason:
            return as_it_came(job, encoding(order.encoding), reason)
        early = self.compressor.settle(job, order.encoding)
        if early is not None:
            return early
        draft = Draft.of(job, self.compressor.reader)
        return self.cache.look_up(draft, order.tenant) if self.cache else Lookup.nothing(draft)

    async def _score(
        self, lookups: Sequence[Lookup], order: Order, late: float
    ) -> list[list[Floats]]:
        """For each look-up the scores of its windows that are not known, token by token."""
        gaps = Gaps.of(lookups)
        if not gaps.windows:
            return gaps.spread(())
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()

        def done() -> None:
            loop.call_soon_threadsafe(ready.set)

        work = Work(order.tenant, gaps.windows, done)
        if self._queue.waiting_tokens + work.waiting > self._max_queue_tokens:
            raise LimitError(
                "too many tokens wait for compression; try again later or raise "
                "compressor.max_queue_tokens",
                code="compression_queue_full",
            )
        _be_in_time(self._queue.seconds_for(work), order, late)
        self._queue.put(work)
        try:
            await ready.wait()
        finally:
            self._queue.cancel(work)
        if work.error is not None:
            raise CompressionError(
                f"the classifier failed: {type(work.error).__name__}"
            ) from work.error
        return gaps.spread(cast("list[Floats]", work.scores))

    def _finish(
        self, begun: list[Compressed | Lookup], scores: list[list[Floats]], order: Order
    ) -> list[Compressed]:
        left = iter(scores)
        return [
            self._finish_one(item, next(left), order) if isinstance(item, Lookup) else item
            for item in begun
        ]

    def _finish_one(self, lookup: Lookup, scores: list[Floats], order: Order) -> Compressed:
        state = lookup.state
        fresh = lookup.scored(scores)
        if self.cache is not None:
            self.cache.remember(fresh)
        result = self.compressor.finish(lookup.draft, lookup.packed, order.encoding)
        return replace(result, cache=state)

    async def in_thread(self, size: int, function: Callable[[*Args], T], *args: *Args) -> T:
        """The function's result; it runs in one of the threads that prepare texts of such a size.

        ``size`` is in characters.
        """
        return await self._hands.run(size, function, *args)

    def close(self) -> None:
        """Stop the threads."""
        self._queue.close()
        self._hands.close()
        if self.cache is not None:
            self.cache.close()


def _timed(pace: Pace, size: int, work: Callable[[], T]) -> T:
    """What the work gives; how long it took is noted if that says anything."""
    started = time.perf_counter()
    result = work()
    if size > _SMALL:
        pace.note(size, time.perf_counter() - started)
    return result


def _be_in_time(seconds: float, order: Order, late: float) -> None:
    """Raises DeadlineExceeded if what takes so long can't be done before ``late``."""
    if seconds > _SLACK * (late - asyncio.get_running_loop().time()):
        raise DeadlineExceeded(
            f"at its speed of late, compression can't be done within the policy's "
            f"{order.deadline_ms:.0f} ms; raise deadline_ms, lower the load, or use a faster model"
        )
