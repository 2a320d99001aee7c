"""Threads that prepare: small work does not wait for huge work, and left work is not begun."""

from __future__ import annotations

import asyncio
import threading

import pytest

from proxy.compress.hands import Hands

HUGE = 5_000_000


async def test_small_work_passes_huge_work() -> None:
    hands, let = Hands(), threading.Event()
    huge = [asyncio.create_task(hands.run(HUGE, let.wait, 30)) for _ in range(5)]
    await asyncio.sleep(0)
    assert await asyncio.wait_for(hands.run(100, str, 1), 30) == "1"
    assert await asyncio.wait_for(hands.run(100_000, str, 2), 30) == "2"
    let.set()
    assert await asyncio.gather(*huge) == [True] * 5
    hands.close()


async def test_work_of_a_caller_who_left_is_never_begun() -> None:
    hands, let, begun = Hands(), threading.Event(), threading.Event()
    first = asyncio.create_task(hands.run(HUGE, let.wait, 30))
    left = asyncio.create_task(hands.run(HUGE, begun.set))
    await asyncio.sleep(0)
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    let.set()
    await first
    await hands.run(HUGE, str)
    assert not begun.is_set()
    hands.close()
