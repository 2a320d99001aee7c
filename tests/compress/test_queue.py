"""The queue of windows: fair between requests and tenants, and free of those who left."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.compress.queue import WindowQueue, Work
from proxy.compress.scorer import Floats, Ints

SOON = 30


class Gate:
    """A classifier that scores one window for each time it is let, and notes whose it was."""

    def __init__(self) -> None:
        self.order: list[int] = []
        self.busy = threading.Semaphore(0)
        self._let = threading.Semaphore(0)

    def __call__(self, ids: Ints) -> Floats:
        self.busy.release()
        assert self._let.acquire(timeout=SOON)
        self.order.append(int(ids[0]))
        return np.full(len(ids), 0.5, np.float32)

    def let(self, windows: int = 1000) -> None:
        self._let.release(windows)

    def wait_busy(self) -> None:
        assert self.busy.acquire(timeout=SOON)


@contextmanager
def queue(gate: Gate) -> Iterator[WindowQueue]:
    """With one thread, which is on a window of nobody's until the gate opens."""
    made = WindowQueue(gate, 1)
    made.put(work(0, 1)[0])
    gate.wait_busy()
    try:
        yield made
    finally:
        gate.let(100_000)
        made.close()


def work(name: int, windows: int, tenant: str = "", size: int = 4) -> tuple[Work, threading.Event]:
    done = threading.Event()
    made = Work(tenant, [np.full(size, name, np.int64)] * windows, done.set)
    return made, done


def test_a_small_request_overtakes_a_huge_one() -> None:
    gate = Gate()
    with queue(gate) as windows:
        huge, _ = work(1, 1000)
        small, done = work(2, 1)
        windows.put(huge)
        windows.put(small)
        gate.let(2)
        assert done.wait(SOON)
        assert gate.order == [0, 2]
        windows.cancel(huge)


def test_a_huge_request_has_every_other_turn_however_many_small_ones_come() -> None:
    gate = Gate()
    with queue(gate) as windows:
        windows.put(work(1, 50)[0])
        for _ in range(20):
            last, done = work(2, 1)
            windows.put(last)
        gate.let()
        assert done.wait(SOON)
        assert gate.order[:11] == [0, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1]


def test_tenants_take_turns_however_many_requests_they_have() -> None:
    gate = Gate()
    with queue(gate) as windows:
        for _ in range(3):
            windows.put(work(1, 2, "many")[0])
        last, done = work(9, 3, "few")
        windows.put(last)
        gate.let()
        assert done.wait(SOON)
        assert gate.order[1:7] == [1, 9, 1, 9, 1, 9]


def test_tenants_share_by_tokens_and_not_by_windows() -> None:
    gate = Gate()
    with queue(gate) as windows:
        windows.put(work(1, 100, "long", size=40)[0])
        windows.put(work(2, 100, "short", size=10)[0])
        gate.let(51)
        for _ in range(51):
            gate.wait_busy()
        assert gate.order.count(2) in range(38, 43)


def test_a_tenant_that_comes_later_has_no_time_to_catch_up() -> None:
    gate = Gate()
    with queue(gate) as windows:
        windows.put(work(1, 100, "early")[0])
        gate.let(20)
        for _ in range(20):
            gate.wait_busy()
        windows.put(work(2, 100, "late")[0])
        gate.let(20)
        for _ in range(20):
            gate.wait_busy()
        assert gate.order[20:].count(1) in range(8, 12)


def test_how_long_it_will_take_is_told_from_what_was_done_and_what_is_ahead() -> None:
    def slowly(ids: Ints) -> Floats:
        time.sleep(0.02)
        return np.zeros(len(ids), np.float32)

    windows = WindowQueue(slowly, 1)
    asked, _ = work(5, 10)
    assert windows.seconds_for(asked) == 0.0  # nothing is known yet
    first, done = work(1, 5)
    windows.put(first)
    assert done.wait(SOON)
    alone = windows.seconds_for(asked)
    assert alone >= 0.2
    huge, small = work(1, 5000)[0], work(2, 5)[0]
    windows.put(huge)
    windows.put(small)
    # All of the smaller one is ahead, and of the huge one as much as it gets turns.
    assert 1.8 * alone < windows.seconds_for(asked) < 4 * alone
    windows.cancel(huge)
    windows.cancel(small)
    windows.close()


def test_work_that_was_cancelled_is_skipped_and_no_longer_waited_for() -> None:
    gate = Gate()
    with queue(gate) as windows:
        left, never = work(1, 50)
        stays, done = work(2, 2)
        windows.put(left)
        windows.put(stays)
        assert windows.waiting_tokens == 52 * 4
        windows.cancel(left)
        assert windows.waiting_tokens == 2 * 4
        gate.let()
        assert done.wait(SOON)
        assert gate.order == [0, 2, 2]
        assert windows.waiting_tokens == 0
        assert not never.is_set()


def test_scores_stand_where_their_windows_stood() -> None:
    windows = WindowQueue(lambda ids: ids.astype(np.float32) / 100, 3)
    done = threading.Event()
    made = Work("", [np.array([i]) for i in range(50)], done.set)
    windows.put(made)
    assert done.wait(SOON)
    windows.close()
    assert [float(s[0]) for s in made.scores if s is not None] == [
        float(np.float32(i / 100)) for i in range(50)
    ]


def test_a_failed_window_fails_its_work_and_no_other() -> None:
    def score(ids: Ints) -> Floats:
        if ids[0] == 1:
            raise RuntimeError("no such token")
        return np.zeros(len(ids), np.float32)

    windows = WindowQueue(score, 2)
    bad, bad_done = work(1, 3)
    good, good_done = work(2, 3)
    windows.put(bad)
    windows.put(good)
    assert bad_done.wait(SOON) and good_done.wait(SOON)
    windows.close()
    assert isinstance(bad.error, RuntimeError) and good.error is None


def test_closing_waits_for_the_windows_in_work_alone() -> None:
    gate = Gate()
    windows = WindowQueue(gate, 1)
    windows.put(work(1, 100)[0])
    gate.wait_busy()
    closing = threading.Thread(target=windows.close)
    closing.start()
    while not windows.closed:
        time.sleep(0.001)
    gate.let()
    closing.join(SOON)
    assert gate.order == [1]


@settings(max_examples=30)  # each starts a thread
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 6), st.booleans()), max_size=8),
)
def test_all_that_is_not_cancelled_is_scored_once(jobs: list[tuple[str, int, bool]]) -> None:
    gate = Gate()
    with queue(gate) as windows:
        made = [work(i + 1, count, tenant) for i, (tenant, count, _) in enumerate(jobs)]
        for item, _ in made:
            windows.put(item)
        for (item, _), (_, _, cancelled) in zip(made, jobs, strict=True):
            if cancelled:
                windows.cancel(item)
        gate.let()
        for (_, done), (_, _, cancelled) in zip(made, jobs, strict=True):
            assert cancelled or done.wait(SOON)
    expected = [i + 1 for i, (_, n, gone) in enumerate(jobs) if not gone for _ in range(n)]
    assert sorted(gate.order) == [0, *expected]
    assert windows.waiting_tokens == 0
