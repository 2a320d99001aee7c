"""What a receipt says of a request, whichever way the request ended."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import httpx
from starlette.testclient import TestClient
from starlette.types import Message

from proxy.app import build
from proxy.compress import Compressor
from proxy.config import Config
from tests.api.test_failing_open import Fragile
from tests.compress.readers import fake, reader
from tests.e2e.serving import until
from tests.servers.recorder import Recorder, Reply

TEXT = "A word of 12 numbers is not in the words, as it was for that. " * 40 + "\n```\nx = 1\n```\n"
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": TEXT}]
NOBODY = "http://127.0.0.1:9/v1"


def config(**policy: Any) -> Config:
    return Config.model_validate(
        {
            "model_list": [
                {"model_name": "echo", "litellm_params": {"model": "echo"}},
                {
                    "model_name": "nowhere",
                    "litellm_params": {"model": "openai/x", "api_base": NOBODY, "max_retries": 0},
                },
            ],
            "policies": {"p": {"min_tokens": 10, "deadline_ms": 60_000, **policy}},
            "routes": [{"policy": "p"}],
        }
    )


def chat(client: TestClient, model: str = "echo", **headers: str) -> httpx.Response:
    body = {"model": model, "messages": MESSAGES}
    answer: httpx.Response = client.post("/v1/chat/completions", json=body, headers=headers)
    return answer


def receipt_of(client: TestClient, answer: httpx.Response) -> dict[str, Any]:
    got = client.get(f"/v1/receipts/{answer.headers['x-precis-request-id']}")
    assert got.status_code == 200, got.text
    receipt: dict[str, Any] = got.json()
    return receipt


def test_a_receipt_counts_the_contexts_that_went() -> None:
    parts = [f"{word} number 7 of the words that nobody read to the end. " * 9 for word in "abcd"]
    body = {"model": "echo", "messages": [{"role": "user", "content": "\n\n".join(parts)}]}
    filtered = config(rate=0.3, question="none", target_context=1)
    with TestClient(build(filtered, fake())) as client:
        answer = client.post("/v1/chat/completions", json=body)
        (message,) = receipt_of(client, answer)["messages"]
    assert message["action"] == "compressed"
    gone = message["spans"]["context dropped"]
    assert gone["dropped"] in (1, 2, 3) and gone["characters"] > 100
    assert message["spans"]["number"]["forced"] == 9 * (4 - gone["dropped"])


def test_each_message_has_its_decision_hashes_mask_and_span_classes() -> None:
    with TestClient(build(config(), fake())) as client:
        answer = chat(client)
        receipt = receipt_of(client, answer)
    sent = answer.json()["echo"]["messages"][1]["content"]
    system, user = receipt["messages"]
    assert (system["action"], system["reason"], system["kept"]) == ("unchanged", "role", [])
    assert (user["action"], user["reason"]) == ("compressed", "")
    assert "".join(TEXT[start:end] for start, end in user["kept"]) == sent
    for text, digest in ((TEXT, user["sha256_before"]), (sent, user["sha256_after"])):
        assert hashlib.sha256(text.encode()).hexdigest() == digest
    assert user["spans"]["code"] == {"intact": 1, "characters": len("```\nx = 1\n```")}
    assert user["spans"]["number"]["forced"] > 30
    assert user["spans"]["negation"]["forced"] > 30
    assert receipt["tokens_before"] - receipt["tokens_after"] == receipt["tokens_saved"] > 0
    assert set(receipt["ms"]) >= {"tokenize", "score", "select", "compress", "overhead", "upstream"}
    assert (receipt["status"], receipt["error"], receipt["stable"]) == (200, "", True)
    assert "numbers" not in json.dumps(receipt)


def test_fingerprints_name_the_policy_and_the_classifier() -> None:
    def prints(**policy: Any) -> tuple[str, str]:
        with TestClient(build(config(**policy), fake())) as client:
            receipt = receipt_of(client, chat(client))
        return receipt["policy_fingerprint"], receipt["compressor_fingerprint"]

    first, again, other = prints(), prints(rate=0.5), prints(rate=0.6)
    assert first == again  # written out or not, the same settings
    assert first[0] != other[0]
    assert first[1] == other[1] == "fake"


def test_a_rate_asked_for_changes_the_policys_fingerprint() -> None:
    with TestClient(build(config(), fake())) as client:
        plain = receipt_of(client, chat(client))
        gentler = receipt_of(client, chat(client, **{"x-precis-rate": "0.9"}))
    assert plain["policy_fingerprint"] != gentler["policy_fingerprint"]
    assert plain["policy"] == gentler["policy"]


def test_an_upstream_that_cannot_be_reached_leaves_a_receipt() -> None:
    with TestClient(build(config(), fake())) as client:
        answer = chat(client, "nowhere")
        receipt = receipt_of(client, answer)
    assert answer.status_code == receipt["status"] == 502
    assert (receipt["decision"], receipt["error"]) == ("compressed", "upstream_unreachable")
    assert receipt["messages"][1]["kept"]


def test_a_compression_that_may_not_fail_leaves_a_receipt() -> None:
    scorer = Fragile()
    app = build(config(on_error="fail"), Compressor(scorer, reader(), threads=1))
    with TestClient(app) as client:
        scorer.broken = True
        answer = chat(client)
        receipt = receipt_of(client, answer)
    assert answer.status_code == receipt["status"] == 500
    assert (receipt["decision"], receipt["reason"]) == ("failed", "error")
    assert (receipt["error"], receipt["tokens_before"]) == ("compression_failed", None)


def test_names_that_no_file_can_hold_are_made_plain() -> None:
    body = b'{"model": "\\ud800", "messages": [{"role": "\\ud800", "content": "x"}]}'
    with TestClient(build(config(), fake())) as client:
        answer = client.post("/v1/compress", content=body)
        receipt = receipt_of(client, answer)
    assert (receipt["model"], receipt["messages"][0]["role"]) == ("?", "?")


def test_below_the_break_even_nothing_is_touched() -> None:
    size = 0
    for pays_over in (0, 10_000, "never"):
        with TestClient(build(config(pays_over=pays_over), fake())) as client:
            receipt = receipt_of(client, chat(client))
        user = receipt["messages"][1]
        size = size or user["tokens_before"]
        expected = ("compressed", "") if pays_over == 0 else ("unchanged", "no saving")
        assert (user["action"], user["reason"]) == expected
    with TestClient(build(config(pays_over=size), fake())) as client:
        assert receipt_of(client, chat(client))["decision"] == "compressed"


async def test_a_client_that_leaves_leaves_a_receipt() -> None:
    body = json.dumps({"model": "slow", "messages": MESSAGES}).encode()
    told = iter([{"type": "http.request", "body": body}])
    decided = config().model_dump()
    with Recorder() as upstream:
        upstream.script([Reply(never=True)])
        slow = {"model": "openai/x", "api_base": upstream.url}
        decided["model_list"] = [{"model_name": "slow", "litellm_params": slow}]
        app = build(Config.model_validate(decided), fake())

        async def receive() -> Message:
            for message in told:
                return message
            await asyncio.to_thread(until, lambda: upstream.requests)
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            raise AssertionError("nobody is there")

        scope: dict[str, Any] = {"type": "http", "method": "POST", "query_string": b""}
        scope |= {"path": "/v1/chat/completions", "headers": [], "app": app}
        await app(scope, receive, send)
        await app.state.parts.pool.aclose()
    visit = scope["state"]["visit"]
    receipt = await app.state.parts.receipts.get(visit.id, "")
    assert (receipt.status, receipt.error) == (499, "client_gone")
    assert receipt.decision == "compressed"
