"""The queue of windows that wait for the classifier, and the threads that serve it.

Tenants share the classifier's time by tokens, however many requests each of them has. Within a
tenant turns alternate between the request that has least left and the oldest one: a small one never
waits behind a huge one, and a huge one gets on however many small ones come.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

from proxy.compress.hands import stand_back
from proxy.compress.pace import Pace
from proxy.compress.scorer import Floats, Ints

Score = Callable[[Ints], Floats]
ScoreMany = Callable[[Sequence[Ints]], list[Floats]]


class Work:
    """The windows of one request."""

    def __init__(self, tenant: str, windows: Sequence[Ints], done: Callable[[], None]) -> None:
        self.tenant = tenant
        self.windows = windows
        self.waiting = sum(map(len, windows))
        """Tokens of the windows that no thread has taken yet."""
        self.scores: list[Floats | None] = [None] * len(windows)
        self.error: Exception | None = None
        self.taken = 0
        self.missing = len(windows)
        self.done = done


class _Line:
    """One tenant's requests, the oldest first."""

    def __init__(self, served: float) -> None:
        self.works: list[Work] = []
        self.served = served
        """Tokens taken, from where the tenants stood when this one came."""
        self._oldest_next = False

    def next(self) -> Work:
        self._oldest_next = not self._oldest_next
        return min(self.works, key=_waiting) if self._oldest_next else self.works[0]


class WindowQueue:
    """Serves the windows of all requests with ``threads`` threads, fairly."""

    def __init__(
        self, score: Score, threads: int, *, many: ScoreMany | None = None, batch_tokens: int = 0
    ) -> None:
        """With ``many``, a thread takes ``batch_tokens`` tokens of windows at a time for it."""
        self._score_many = many or (lambda windows: [score(ids) for ids in windows])
        self._batch_tokens = batch_tokens if many else 0
        self._lines: dict[str, _Line] = {}
        self._served = 0.0
        self._pace = Pace()
        self._change = threading.Condition()
        self.closed = False
        self.waiting_tokens = 0
        """Tokens of all windows that no thread has taken yet."""
        self._threads = [
            threading.Thread(target=self._serve, name=f"score-{index}", daemon=True)
            for index in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, work: Work) -> None:
        """Queue all windows of ``work``; its ``done`` is called, in a thread, after the last."""
        with self._change:
            if work.tenant not in self._lines:
                self._lines[work.tenant] = _Line(self._served)
            self._lines[work.tenant].works.append(work)
            self.waiting_tokens += work.waiting
            self._change.notify(len(work.windows))

    def cancel(self, work: Work) -> None:
        """Forget the windows that no thread has taken yet; nothing if all are."""
        with self._change:
            if work.waiting:
                self._remove(work)
                self.waiting_tokens -= work.waiting
                work.waiting = 0

    def seconds_for(self, work: Work) -> float:
        """Seconds until all of ``work`` would be scored, at the speed that was measured of late.

        What may come later is not in it, so it is the least. 0 as long as no speed is known.
        """
        with self._change:
            ahead = sum(self._ahead(work))
            return self._pace.seconds_for(work.waiting + ahead) / len(self._threads)

    def _ahead(self, work: Work) -> Iterator[int]:
        """Tokens that will be taken before the last of ``work``, by tenant; the lock is held."""
        own = self._lines.get(work.tenant)
        sizes = [other.waiting for other in own.works] if own else []
        shorter = sum(size for size in sizes if size <= work.waiting)
        yield shorter
        yield min(sum(sizes) - shorter, work.waiting + shorter)  # every other turn is the oldest's
        for tenant, line in self._lines.items():
            if tenant != work.tenant:
                yield min(sum(map(_waiting, line.works)), work.waiting + shorter)

    def close(self) -> None:
        """Stop the threads after the windows that they are on."""
        with self._change:
            self.closed = True
            self._change.notify_all()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        stand_back()
        while taken := self._next():
            self._run(taken)

    def _next(self) -> list[tuple[Work, int]]:
        """The next windows, as soon as there is one; none once the queue is closed."""
        with self._change:
            while not self.closed:
                if self._lines:
                    return self._take_batch()
                self._change.wait()
        return []

    def _take_batch(self) -> list[tuple[Work, int]]:
        taken = [self._take()]
        while self._lines and _tokens(taken) < self._batch_tokens:
            taken.append(self._take())
        return taken

    def _take(self) -> tuple[Work, int]:
        """The next window of the tenant that had least so far; the lock is held."""
        line = min(self._lines.values(), key=_served)
        work, self._served = line.next(), line.served
        index = work.taken
        size = len(work.windows[index])
        work.taken += 1
        work.waiting -= size
        line.served += size
        self.waiting_tokens -= size
        if work.taken == len(work.windows):
            self._remove(work)
        return work, index

    def _remove(self, work: Work) -> None:
        line = self._lines[work.tenant]
        line.works.remove(work)
        if not line.works:
            del self._lines[work.tenant]

    def _run(self, taken: list[tuple[Work, int]]) -> None:
        started = time.perf_counter()
        try:
            scores = self._score_many([work.windows[index] for work, index in taken])
        except Exception as exc:
            if len(taken) > 1:  # only the request whose window it was is to see it
                for one in taken:
                    self._run([one])
                return
            taken[0][0].error = exc  # handed to the request that waits for it
        else:
            for (work, index), found in zip(taken, scores, strict=True):
                work.scores[index] = found
        self._note(taken, time.perf_counter() - started)

    def _note(self, taken: list[tuple[Work, int]], seconds: float) -> None:
        last = []
        with self._change:
            self._pace.note(_tokens(taken), seconds)
            for work, _ in taken:
                work.missing -= 1
                if work.missing == 0:
                    last.append(work)
        for work in last:
            work.done()


def _tokens(taken: list[tuple[Work, int]]) -> int:
    return sum(len(work.windows[index]) for work, index in taken)


def _waiting(work: Work) -> int:
    return work.waiting


def _served(line: _Line) -> float:
    return line.served
