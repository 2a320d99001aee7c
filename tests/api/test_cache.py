"""Messages that were met before: the same bytes for next to nothing, and an answer that says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from proxy.api.recall import NotMet, Recall
from proxy.app import build
from proxy.compress import Compressor
from proxy.compress.scorer import FakeScorer, Floats, Ints
from proxy.config import Config
from proxy.config_policy import Policy
from proxy.gate import verify
from proxy.tenants.keys import hash_of
from proxy.tokens import encoding
from proxy.types import Region
from tests.compress.readers import fake, reader
from tests.compress.test_properties import RATES, TEXTS

SENTENCE = "A word number {} of it is in the words, as it was for that. "
TEXT = "".join(SENTENCE.format(n) for n in range(60))


class Counting(FakeScorer):
    """Counts the windows that it scores."""

    windows = 0

    def score(self, ids: Ints) -> Floats:
        self.windows += 1
        return super().score(ids)


class Site:
    """An application, its client and its classifier."""

    def __init__(self, cache: dict[str, Any], tenants: dict[str, Any]) -> None:
        config = Config.model_validate(
            {
                "compressor": {"cache": cache},
                "model_list": [{"model_name": "echo", "litellm_params": {"model": "echo"}}],
                "policies": {"p": {"min_tokens": 10, "deadline_ms": 60_000}},
                "routes": [{"policy": "p"}],
                "tenants": tenants,
            }
        )
        self.scorer = Counting()
        self.app = build(config, Compressor(self.scorer, reader(), threads=1))
        self.warm = self.scorer.windows

    async def ask(self, *texts: str, **headers: str) -> httpx.Response:
        roles = ("user", "assistant")
        messages = [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)]
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            answer = await client.post(
                "/v1/compress", json={"model": "echo", "messages": messages}, headers=headers
            )
        assert answer.status_code == 200, answer.text
        return answer

    async def metric(self, name: str, **labels: str) -> float:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            text = (await client.get("/metrics")).text
        samples = [s for f in text_string_to_metric_families(text) for s in f.samples]
        return sum(
            s.value for s in samples if s.name == name and labels.items() <= s.labels.items()
        )


@asynccontextmanager
async def site(
    cache: dict[str, Any] | None = None, tenants: dict[str, Any] | None = None
) -> AsyncIterator[Site]:
    made = Site({"store": "none"} if cache is None else cache, tenants or {})
    try:
        yield made
    finally:
        await made.app.state.parts.pool.aclose()
        await asyncio.to_thread(made.app.state.parts.scheduler.close)


def told(answer: httpx.Response) -> str:
    return answer.headers["x-precis-cache"]


async def test_a_long_message_that_was_met_before_waits_for_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    long = 15 * TEXT
    async with site() as here:
        first = await here.ask(long)
        threads = []

        async def in_thread(size: int, work: Any, *args: Any) -> Any:
            threads.append(work)
            return work(*args)

        monkeypatch.setattr(here.app.state.parts.scheduler, "in_thread", in_thread)
        second = await here.ask(long)
        assert [told(first), told(second)] == ["miss", "hit"]
        assert first.json()["messages"] == second.json()["messages"]
        assert not threads
        await here.ask(long + "And more.")
        assert threads


async def test_a_message_that_was_met_before_is_not_scored_again() -> None:
    async with site() as here:
        first = await here.ask(TEXT)
        scored = here.scorer.windows
        second = await here.ask(TEXT)
        assert [told(first), told(second)] == ["miss", "hit"]
        assert here.scorer.windows == scored > here.warm
        assert first.json()["messages"] == second.json()["messages"]
        assert first.json()["tokens_after"] == second.json()["tokens_after"]
        one, other = [
            await here.app.state.parts.receipts.get(answer.json()["receipt"], "")
            for answer in (first, second)
        ]
        assert one.messages == other.messages and [one.cache, other.cache] == ["miss", "hit"]
        assert await here.metric("precis_cache_messages_total", found="memory") == 1
        assert await here.metric("precis_cache_windows_total", found="nowhere") > 0
        assert await here.metric("precis_cache_memory_bytes") > 0


async def test_a_conversation_costs_each_message_once() -> None:
    texts = [TEXT.replace("word", f"number{n}") for n in range(5)]
    async with site() as here:
        states = [told(await here.ask(*texts[: n + 1])) for n in range(5)]
        whole = here.scorer.windows - here.warm
    async with site({"store": "none", "memory_mb": 0}) as here:
        for text in texts[::2]:  # those of the user; of the assistant's nothing may be touched
            assert told(await here.ask(text)) == "off"
        assert whole <= 1.2 * (here.scorer.windows - here.warm)
    assert states == ["miss", "hit", "partial", "hit", "partial"]


async def test_a_request_without_scores_has_nothing_to_say_of_the_cache() -> None:
    async with site() as here:
        for _ in range(2):
            assert told(await here.ask("Few words.")) == "off"
            assert told(await here.ask(TEXT, **{"x-precis-bypass": "true"})) == "off"


@pytest.mark.parametrize("scope,expected", [("tenant", "miss"), ("shared", "hit")])
async def test_what_one_tenant_sent_tells_another_nothing(scope: str, expected: str) -> None:
    tenants = {name: {"keys": [hash_of(f"key-of-{name}")]} for name in ("acme", "globex")}
    async with site({"store": "none", "scope": scope}, tenants) as here:
        keys = {name: {"authorization": f"Bearer key-of-{name}"} for name in tenants}
        assert told(await here.ask(TEXT, **keys["acme"])) == "miss"
        assert told(await here.ask(TEXT, **keys["globex"])) == expected
        assert told(await here.ask(TEXT, **keys["acme"])) == "hit"


async def test_another_rate_finds_the_scores_and_not_the_result() -> None:
    async with site() as here:
        plain = await here.ask(TEXT)
        gentle = await here.ask(TEXT, **{"x-precis-rate": "0.8"})
    assert [told(plain), told(gentle)] == ["miss", "hit"]
    assert gentle.json()["tokens_after"] > plain.json()["tokens_after"]


async def test_scores_are_there_after_a_restart(tmp_path: Path) -> None:
    cache = {"store": "sqlite", "path": str(tmp_path / "scores.sqlite"), "timeout_ms": 10_000}
    answers = []
    for _ in range(2):
        async with site(cache) as here:
            answers.append(await here.ask(TEXT))
    assert [told(answer) for answer in answers] == ["miss", "hit"]
    assert here.scorer.windows == here.warm
    assert answers[0].json()["messages"] == answers[1].json()["messages"]
    stored = (tmp_path / "scores.sqlite").read_bytes()
    assert b"word number" not in stored and b"acme" not in stored


async def test_a_store_that_cannot_be_used_fails_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = {"store": "sqlite", "path": str(tmp_path / "file" / "scores.sqlite")}
    async with site(cache) as here:
        assert told(await here.ask(TEXT)) == "miss"
        assert await here.metric("precis_cache_troubles_total", kind="failed") == 1


@given(TEXTS, RATES, st.sampled_from(["user", "assistant", "tool"]))
@settings(max_examples=60)
def test_what_is_recalled_is_what_was_found(text: str, rate: float, role: str) -> None:
    policy = Policy(rate=rate, min_tokens=0)
    recall = Recall(1_000_000, isolated=True)
    fresh = recall.passage("acme", text, role, policy, message=1)
    again = recall.passage("acme", text, role, policy, message=2, part=3)
    assert (again.message, again.part, again.text) == (2, 3, text)
    assert (fresh.intact, fresh.forced, fresh.reason) == (again.intact, again.forced, again.reason)
    assert recall.met("acme", text, role, policy, message=2, part=3) == again
    for stranger in (("other", text, role), ("acme", text + ".", role), ("acme", text, "x")):
        with pytest.raises(NotMet):
            recall.met(*stranger, policy)
    assert recall.result(again, policy, "cl100k_base") is None
    if fresh.reason:
        return
    found = fake().compress(text, rate, intact=fresh.intact, forced=fresh.forced)
    verified = verify(fresh, found, policy, encoding())
    recall.remember(fresh, policy, "cl100k_base", verified)
    known = recall.result(again, policy, "cl100k_base")
    assert known is not None
    assert (known.text, known.kept, known.reason) == (verified.text, verified.kept, verified.reason)
    assert verify(again, known, policy, encoding()) == known
    assert recall.result(again, policy, "o200k_base") is None
    other = policy.model_copy(update={"rate": rate / 2})
    assert recall.result(again, other, "cl100k_base") is None
    eased = replace(again, regions=(Region(0, len(text), 0.5),))
    assert recall.result(eased, policy, "cl100k_base") is None


def test_nothing_is_remembered_where_there_is_no_memory() -> None:
    recall = Recall(0, isolated=True)
    found = recall.passage("", TEXT, "user", Policy())
    recall.remember(found, Policy(), "cl100k_base", fake().compress(TEXT))
    with pytest.raises(NotMet):
        recall.met("", TEXT, "user", Policy())
    assert (
        not found.key and recall.size == 0 and recall.result(found, Policy(), "cl100k_base") is None
    )
