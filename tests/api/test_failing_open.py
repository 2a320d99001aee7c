"""When compression breaks: the original goes on, or the caller is told, as the policy says."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from proxy.app import build
from proxy.compress import Compressor
from proxy.compress.scorer import FakeScorer, Floats, Ints
from proxy.config import Config
from tests.compress.readers import reader

TEXT = "A word of numbers is in the words, as it was for that. " * 40


class Fragile(FakeScorer):
    """Works until the server has warmed up."""

    broken = False

    def score(self, ids: Ints) -> Floats:
        if self.broken:
            raise ValueError(f"the prompt was {TEXT}")
        return super().score(ids)


async def ask(queue: int = 1_000_000, text: str = TEXT, **policy: Any) -> httpx.Response:
    config = Config.model_validate(
        {
            "compressor": {"max_queue_tokens": queue},
            "model_list": [{"model_name": "echo", "litellm_params": {"model": "echo"}}],
            "policies": {"p": {"min_tokens": 10, "deadline_ms": 60_000, **policy}},
            "routes": [{"policy": "p"}],
        }
    )
    body = {"model": "echo", "messages": [{"role": "user", "content": text}]}
    scorer = Fragile()
    app = build(config, Compressor(scorer, reader(), threads=1))
    scorer.broken = True
    transport = httpx.ASGITransport(app)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.post("/v1/chat/completions", json=body)
    finally:
        await app.state.parts.pool.aclose()
        app.state.parts.scheduler.close()


async def test_a_broken_classifier_sends_the_original_and_logs_where_it_broke() -> None:
    with capture_logs() as logs:
        answer = await ask()
    assert answer.headers["x-precis-decision"] == "failed-open"
    assert answer.headers["x-precis-reason"] == "error"
    assert answer.json()["choices"][0]["message"]["content"] == TEXT
    line = next(line for line in logs if line["event"] == "failed open")
    assert line["error"].startswith("ValueError at ") and "test_failing_open.py" in line["error"]
    assert line["id"] == answer.headers["x-precis-request-id"]
    assert "numbers" not in str(logs)


async def test_a_broken_classifier_is_a_500_where_the_policy_says_fail() -> None:
    answer = await ask(on_error="fail")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "compression_failed"
    assert "numbers" not in answer.text


@pytest.mark.parametrize("on_error,status", [("pass", 200), ("fail", 429)])
async def test_a_full_queue_obeys_the_policy(on_error: str, status: int) -> None:
    answer = await ask(queue=1, on_error=on_error)
    assert answer.status_code == status
    if status == 200:
        assert answer.headers["x-precis-reason"] == "queue full"
    else:
        assert answer.json()["error"]["code"] == "compression_queue_full"


@pytest.mark.parametrize("failure", [{}, {"queue": 1}, {"deadline_ms": 1, "text": TEXT * 200}])
async def test_obeyed_tags_are_not_sent_when_compression_fails(failure: dict[str, Any]) -> None:
    text = failure.get("text", TEXT)
    tagged = f"<llmlingua rate=0.3>{text}</llmlingua> Then <keep>this.</keep>"
    answer = await ask(**{"obey_tags": ["user"], **failure, "text": tagged})
    assert answer.headers["x-precis-decision"] == "failed-open"
    assert answer.json()["choices"][0]["message"]["content"] == f"{text} Then this."


async def test_tags_that_are_not_obeyed_stay_when_compression_fails() -> None:
    tagged = f"{TEXT}<keep>this.</keep>"
    answer = await ask(text=tagged, obey_tags=["system"])
    assert answer.json()["choices"][0]["message"]["content"] == tagged
