"""The queue of windows that wait for the classifier, and the threads that serve it.

Turns go round the tenants, and within a tenant round the requests, one window each: a huge request
never makes a small one wait for more than the windows that are being scored right now.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence

from proxy.compress.scorer import Floats, Ints

Score = Callable[[Ints], Floats]


class Work:
    """The windows of one request."""

    def __init__(self, tenant: str, windows: Sequence[Ints], done: Callable[[], None]) -> None:
        self.tenant = tenant
        self.windows = windows
        self.tokens = sum(len(ids) for ids in windows)
        self.scores: list[Floats | None] = [None] * len(windows)
        self.error: Exception | None = None
        self.cancelled = False
        self.taken = 0
        self.missing = len(windows)
        self.done = done

    @property
    def waiting(self) -> int:
        """Tokens of the windows that no thread has taken yet."""
        return sum(len(ids) for ids in self.windows[self.taken :])


class WindowQueue:
    """Serves the windows of all requests with ``threads`` threads, fairly."""

    def __init__(self, score: Score, threads: int) -> None:
        self._score = score
        self._turns: OrderedDict[str, deque[Work]] = OrderedDict()
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
            self._turns.setdefault(work.tenant, deque()).append(work)
            self.waiting_tokens += work.tokens
            self._change.notify(len(work.windows))

    def cancel(self, work: Work) -> None:
        """Forget the windows that no thread has taken yet; nothing if all are."""
        with self._change:
            if not work.cancelled:
                work.cancelled = True
                self.waiting_tokens -= work.waiting

    def close(self) -> None:
        """Stop the threads after the windows that they are on."""
        with self._change:
            self.closed = True
            self._change.notify_all()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while taken := self._next():
            self._run(*taken)

    def _next(self) -> tuple[Work, int] | None:
        """The next window, as soon as there is one; None once the queue is closed."""
        with self._change:
            while not self.closed:
                if taken := self._take():
                    return taken
                self._change.wait()
        return None

    def _take(self) -> tuple[Work, int] | None:
        """The next window in turn; the lock is held."""
        while self._turns:
            tenant, works = next(iter(self._turns.items()))
            work = works.popleft()
            index = work.taken
            if not work.cancelled:
                self.waiting_tokens -= len(work.windows[index])
                work.taken += 1
                if work.taken < len(work.windows):
                    works.append(work)
            self._turns.move_to_end(tenant)
            if not works:
                del self._turns[tenant]
            if not work.cancelled:
                return work, index
        return None

    def _run(self, work: Work, index: int) -> None:
        try:
            work.scores[index] = self._score(work.windows[index])
        except Exception as exc:  # handed to the request that waits for it
            work.error = exc
        with self._change:
            work.missing -= 1
            last = work.missing == 0
        if last:
            work.done()
