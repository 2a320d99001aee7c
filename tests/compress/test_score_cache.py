"""The score cache: it saves the classifier work, and nothing else can tell that it is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings

from proxy.compress.compressor import Compressor
from proxy.compress.draft import Job
from proxy.compress.lru import Memory
from proxy.compress.scheduler import Order, Scheduler
from proxy.compress.score_cache import ScoreCache
from proxy.compress.scorer import FakeScorer, Floats, Ints
from proxy.compress.shared import Shared
from proxy.types import Compressed, Passage, Rules
from tests.compress.readers import fake, reader
from tests.compress.stores import FakeStore
from tests.compress.test_properties import RATES, TEXTS

SENTENCE = "The word of a compressing number {} is in the words, as it was for that. "
TEXT = "".join(SENTENCE.format(n) for n in range(20))
RULES = Rules(force_tokens=(".",))


class Counting(FakeScorer):
    """Counts the windows that it scores."""

    def __init__(self) -> None:
        self.windows = 0

    def score(self, ids: Ints) -> Floats:
        self.windows += 1
        return super().score(ids)


def order(rate: float = 0.5, **settings: Any) -> Order:
    rest = {
        "rules": RULES,
        "rate_for": lambda _: rate,
        "encoding": "cl100k_base",
        "deadline_ms": 60_000,
    }
    return Order(**{**rest, **settings})


def cache(store: FakeStore | None = None, **settings: Any) -> ScoreCache:
    given = {"isolated": True, "size": 1_000_000, "fingerprint": "f", "timeout": 10, **settings}
    shared = Shared(store, given["timeout"]) if store else None
    return ScoreCache(
        given["fingerprint"], Memory(given["size"]), shared, isolated=given["isolated"]
    )


@asynccontextmanager
async def scheduler(
    scores: ScoreCache | None, scorer: FakeScorer | None = None
) -> AsyncIterator[Scheduler]:
    made = Scheduler(Compressor(scorer or FakeScorer(), reader(), threads=2), cache=scores)
    try:
        yield made
    finally:
        await asyncio.to_thread(made.close)


async def run(
    made: Scheduler, texts: Sequence[str], wanted: Order | None = None
) -> tuple[Compressed, ...]:
    passages = [Passage(0, None, "user", text) for text in texts]
    return await made.compress(passages, wanted or order())


def flushed(scores: ScoreCache) -> None:
    assert scores._shared is not None
    scores._shared.flush()


def plain(results: Sequence[Compressed]) -> list[tuple[Any, ...]]:
    return [(r.text, r.kept, r.tokens_before, r.tokens_after, r.reason) for r in results]


async def test_a_text_that_was_scored_is_not_scored_again() -> None:
    scorer = Counting()
    async with scheduler(cache(), scorer) as made:
        (first,) = await run(made, [TEXT])
        once = scorer.windows
        (second,) = await run(made, [TEXT])
        (third,) = await run(made, [TEXT], order(rate=0.3))
    assert scorer.windows == once > 1
    assert [first.cache, second.cache, third.cache] == ["miss", "hit", "hit"]
    assert plain([first]) == plain([second]) and third.tokens_after < first.tokens_after


async def test_without_a_cache_the_state_is_off() -> None:
    async with scheduler(None) as made:
        assert (await run(made, [TEXT]))[0].cache == "off"


async def test_texts_that_need_no_scores_say_nothing_of_the_cache() -> None:
    async with scheduler(cache()) as made:
        results = await run(made, ["", "Short.", TEXT], order(min_tokens=20))
    assert [result.cache for result in results] == ["off", "off", "miss"]


@pytest.mark.parametrize("isolated,expected", [(True, "miss"), (False, "hit")])
async def test_a_tenant_meets_another_ones_scores_only_if_they_are_shared(
    isolated: bool, expected: str
) -> None:
    store = FakeStore()
    async with scheduler(cache(store, isolated=isolated)) as made:
        await run(made, [TEXT], order(tenant="acme"))
        (other,) = await run(made, [TEXT], order(tenant="globex"))
        (same,) = await run(made, [TEXT], order(tenant="acme"))
    assert [other.cache, same.cache] == [expected, "hit"]


async def test_scores_of_another_classifier_are_not_used() -> None:
    store = FakeStore()
    async with scheduler(cache(store)) as made:
        await run(made, [TEXT])
    async with scheduler(cache(store, fingerprint="g")) as made:
        assert (await run(made, [TEXT]))[0].cache == "miss"


async def test_each_way_to_score_a_word_has_scores_of_its_own() -> None:
    async with scheduler(cache()) as made:
        await run(made, [TEXT])
        (other,) = await run(made, [TEXT], order(rules=Rules(token_to_word="first")))
    assert other.cache == "miss"


async def test_a_store_outlives_the_process() -> None:
    store, scorer = FakeStore(), Counting()
    async with scheduler(cache(store)) as made:
        before = await run(made, [TEXT])
    assert store.closed
    async with scheduler(cache(store), scorer) as made:
        after = await run(made, [TEXT])
    assert scorer.windows == 0 and after[0].cache == "hit"
    assert plain(before) == plain(after)


async def test_no_text_is_stored_and_a_word_takes_a_byte() -> None:
    store = FakeStore()
    text = " ".join(f"word number{n} compress that with" for n in range(400))
    async with scheduler(cache(store)) as made:
        await run(made, [text])
    stored = b"".join(store.entries.values())
    assert not [word for word in set(text.split()) if word.encode() in stored]
    assert len(stored) - 44 * len(store.entries) == len(text.split())


async def test_a_window_that_stands_there_twice_is_scored_once() -> None:
    scorer = Counting()
    async with scheduler(cache(), scorer) as made:
        one, other = await run(made, [SENTENCE * 40, SENTENCE * 20])
    assert scorer.windows <= 3
    assert [one.cache, other.cache] == ["miss", "miss"]
    async with scheduler(None) as made:
        assert plain(await run(made, [SENTENCE * 40, SENTENCE * 20])) == plain([one, other])


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "swapped", "longer"])
async def test_damaged_entries_are_found_and_scored_again(damage: str) -> None:
    store, scorer = FakeStore(), Counting()
    async with scheduler(cache(store)) as made:
        before = await run(made, [TEXT])
    keys = list(store.entries)
    good = dict(store.entries)
    for key, other in zip(keys, keys[1:] + keys[:1], strict=True):
        entry = good[key]
        store.entries[key] = {
            "flipped": entry[:-1] + bytes([entry[-1] ^ 1]),
            "cut": entry[:-1],
            "empty": b"",
            "swapped": good[other],
            "longer": entry + b"\0",
        }[damage]
    scores = cache(store)
    async with scheduler(scores, scorer) as made:
        after = await run(made, [TEXT])
    assert after[0].cache == "miss" and scorer.windows == len(keys) == scores.counts["damaged"]
    assert plain(before) == plain(after)
    assert store.entries == good


async def test_a_store_that_is_down_is_done_without(caplog: pytest.LogCaptureFixture) -> None:
    store = FakeStore()
    store.down = True
    scores = cache(store)
    async with scheduler(scores) as made:
        (first,) = await run(made, [TEXT])
        (second,) = await run(made, [TEXT * 2])
    assert not first.reason and not second.reason
    assert scores.counts["failed"] == 1  # and then it rests
    assert scores.counts["dropped"] > 0


async def test_a_store_that_is_slow_holds_nobody_up() -> None:
    store = FakeStore()
    store.let.clear()
    scores = cache(store, timeout=0.05)
    async with scheduler(scores) as made:
        started = time.monotonic()
        for _ in range(3):
            (result,) = await run(made, [TEXT], order(tenant=str(time.monotonic())))
            assert result.cache == "miss" and not result.reason
        spent = time.monotonic() - started
        store.let.set()
    assert spent < 10 and scores.counts["failed"] == 1


@given(TEXTS, TEXTS, RATES)
@settings(max_examples=30)
def test_the_result_is_the_same_whatever_the_cache_holds(one: str, two: str, rate: float) -> None:
    text = one + " " + two
    alone = plain([fake().run(Job(text, RULES, rate))])
    store = FakeStore()

    async def states() -> list[list[tuple[Any, ...]]]:
        async with scheduler(None) as off:
            seen = [plain(await run(off, [text], order(rate=rate)))]
        async with scheduler(cache(store)) as made:
            await run(made, [one], order(rate=rate))  # a part of it, perhaps
            for _ in range(2):
                seen.append(plain(await run(made, [text], order(rate=rate))))
        async with scheduler(cache(store)) as made:  # after a restart
            seen.append(plain(await run(made, [text], order(rate=rate))))
        for key in list(store.entries)[::2]:
            store.entries[key] = b"damaged"
        async with scheduler(cache(store)) as made:
            seen.append(plain(await run(made, [text], order(rate=rate))))
        return seen

    assert all(seen == alone for seen in asyncio.run(states()))


async def test_a_text_that_grows_has_only_its_end_scored() -> None:
    scorer = Counting()
    text = "".join(SENTENCE.format(n) for n in range(60))
    async with scheduler(cache(), scorer) as made:
        await run(made, [text])
        all_of_it = scorer.windows
        (grown,) = await run(made, [text + SENTENCE.format("that")])
    assert all_of_it > 30 and scorer.windows - all_of_it <= 2
    assert grown.cache == "partial"
