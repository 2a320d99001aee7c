"""Shadow mode and roll-outs: what is sent, what is told, and that no conversation flips."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from proxy.app import build
from proxy.compress import Compressor
from proxy.config import Config
from tests.api.test_failing_open import Fragile
from tests.api.test_receipts import receipt_of
from tests.compress.readers import fake, reader

WORDS = "A word of a number is in the words, as it was for that. " * 30


def config(mode: Any, **policy: Any) -> Config:
    return Config.model_validate(
        {
            "model_list": [{"model_name": "echo", "litellm_params": {"model": "echo"}}],
            "policies": {"p": {"min_tokens": 10, "deadline_ms": 60_000, **policy}},
            "routes": [{"policy": "p", "mode": mode}],
        }
    )


def ask(client: TestClient, *texts: str) -> Any:
    turns = [{"role": "assistant" if i % 2 else "user", "content": t} for i, t in enumerate(texts)]
    return client.post("/v1/chat/completions", json={"model": "echo", "messages": turns})


def sent(answer: Any) -> list[str]:
    return [message["content"] for message in answer.json()["echo"]["messages"]]


def test_shadow_sends_the_original_and_tells_what_would_be_saved() -> None:
    with TestClient(build(config("shadow"), fake())) as client:
        answer = ask(client, WORDS)
        receipt = receipt_of(client, answer)
        metrics = client.get("/metrics").text
    assert sent(answer) == [WORDS]
    saved = int(answer.headers["x-precis-tokens-saved"])
    assert (answer.headers["x-precis-decision"], receipt["decision"]) == ("shadow", "shadow")
    assert receipt["tokens_saved"] == saved > 50
    assert receipt["messages"][0]["kept"] and receipt["policy_fingerprint"]
    who = 'model="echo",tenant=""'
    assert f'saved_total{{decision="shadow",{who}}} {saved}.0' in metrics
    assert f"tokens_after_total{{{who}}} {receipt['tokens_before']}.0" in metrics  # it was sent


def test_of_a_roll_out_each_conversation_stays_where_it_is() -> None:
    with TestClient(build(config({"enforce": "50%"}), fake())) as client:
        decisions = []
        for number in range(20):
            first = f"{number}. {WORDS * (1 + 5 * (number == 0))}"
            turns = [(first,), (first, "Yes.", WORDS), (first, "Yes.", WORDS, "No.", "Why?")]
            answers = [ask(client, *texts) for texts in turns]
            found = {answer.headers["x-precis-decision"] for answer in answers}
            assert len(found) == 1
            decisions += found
            assert (sent(answers[0]) == [first]) is (found == {"shadow"})
    assert 3 < decisions.count("compressed") < 17
    assert set(decisions) == {"compressed", "shadow"}


@pytest.mark.parametrize(
    "share,decision", [(0, "shadow"), (1, "compressed"), ("100%", "compressed")]
)
def test_none_and_all(share: Any, decision: str) -> None:
    with TestClient(build(config({"enforce": share}), fake())) as client:
        assert ask(client, WORDS).headers["x-precis-decision"] == decision


def test_shadow_never_fails_a_request() -> None:
    scorer = Fragile()
    app = build(config("shadow", on_error="fail"), Compressor(scorer, reader(), threads=1))
    with TestClient(app) as client:
        scorer.broken = True
        answer = ask(client, WORDS)
    assert answer.status_code == 200
    assert answer.headers["x-precis-decision"] == "failed-open"
    assert sent(answer) == [WORDS]
