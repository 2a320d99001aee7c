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

    def __init__(self, score: Score, threads: int) -> None:
        self._score = score
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
            self._run(*taken)

    def _next(self) -> tuple[Work, int] | None:
        """The next window, as soon as there is one; None once the queue is closed."""
        with self._change:
            while not self.closed:
                if self._lines:
                    return self._take()
                self._change.wait()
        return None

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

    def _run(self, work: Work, index: int) -> None:
        started = time.perf_counter()
        try:
            work.scores[index] = self._score(work.windows[index])
        except Exception as exc:  # handed to the request that waits for it
            work.error = exc
        seconds = time.perf_counter() - started
        with self._change:
            self._pace.note(len(work.windows[index]), seconds)
            work.missing -= 1
            last = work.missing == 0
        if last:
            work.done()


def _waiting(work: Work) -> int:
    return work.waiting


def _served(line: _Line) -> float:
    return line.served
