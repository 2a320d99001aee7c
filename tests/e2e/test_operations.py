"""What other gateways and operators call: /v1/compress, health, metrics, receipts."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.serving import Served
from tests.e2e.texts import MEETING, REPORT
from tests.servers.recorder import Recorder


def compress(server: Served, messages: list[Any], **fields: Any) -> dict[str, Any]:
    answer = server.post({"messages": messages, "model": "m", **fields}, "/compress")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_compress_answers_with_the_messages_that_chat_would_send(
    server: Served, upstream: Recorder
) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": REPORT}], "x": 1},
    ]
    body = compress(server, messages)
    assert not upstream.requests
    server.post({"model": "m", "messages": messages})
    assert body["messages"] == upstream.requests[0].json["messages"]


def test_compress_answers_in_the_shape_that_gateways_read(server: Served) -> None:
    body = compress(server, [{"role": "user", "content": MEETING}])
    assert set(body) == {
        "messages",
        "tokens_before",
        "tokens_after",
        "tokens_saved",
        "compression_ratio",
        "transforms_applied",
        "receipt",
    }
    assert body["tokens_before"] - body["tokens_after"] == body["tokens_saved"] > 0
    assert body["compression_ratio"] == body["tokens_after"] / body["tokens_before"]
    assert body["transforms_applied"] == ["precis:default:messages.0"]
    receipt = httpx.get(f"{server.url}/receipts/{body['receipt']}").json()
    assert receipt["object"] == "precis.receipt"
    assert receipt["tokens_saved"] == body["tokens_saved"]


@pytest.mark.parametrize("model", ["m", "unheard-of"])
def test_compress_leaves_short_messages(server: Served, model: str) -> None:
    messages = [{"role": "user", "content": "Hi?"}]
    body = compress(server, messages, model=model)
    assert (body["messages"], body["transforms_applied"]) == (messages, [])
    assert (body["tokens_saved"], body["compression_ratio"]) == (0, 1.0)


@pytest.mark.parametrize("text", ["a \ud800 b", "\ud800 broken words of it " * 200, "\x00"])
def test_compress_takes_what_chat_takes(server: Served, text: str) -> None:
    """Lone surrogates are legal in JSON, and clients that cut strings send them."""
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
    answer = server.post(body, "/compress")
    assert answer.status_code == 200, answer.text
    letters = iter(text)
    assert all(letter in letters for letter in answer.json()["messages"][0]["content"])


@pytest.mark.parametrize("path", ["liveliness", "readiness"])
def test_health_needs_no_key(shared: Served, path: str) -> None:
    answer = httpx.get(f"{shared.root}/health/{path}")
    assert answer.status_code == 200
    assert answer.json()["status"] in ("alive", "ready")


def test_readiness_names_the_classifier(server: Served) -> None:
    ready = httpx.get(f"{server.root}/health/readiness").json()
    assert ready["compressor"] == "builtin"
    assert ready["models"] > 10


def test_metrics_can_be_read_and_add_up(server: Served, upstream: Recorder) -> None:
    names = ("requests_total", "prompt_tokens_before_total", "prompt_tokens_after_total")

    def counts() -> list[float]:
        return [server.metric(f"precis_{name}", model="m") for name in names]

    earlier = counts()
    answer = server.post({"model": "m", "messages": [{"role": "user", "content": MEETING}]})
    before, after = (int(answer.headers[f"x-precis-tokens-{w}"]) for w in ("before", "after"))
    assert [now - then for now, then in zip(counts(), earlier, strict=True)] == [1, before, after]
    page = httpx.get(f"{server.root}/metrics")
    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name for family in text_string_to_metric_families(page.text)}
    assert families >= {"precis_requests", "precis_compression_seconds", "precis_queue_tokens"}


def test_clients_cannot_make_up_labels(server: Served, upstream: Recorder) -> None:
    """Each new label costs memory for as long as the process lives."""
    for number in range(5):
        messages = [{"role": "user", "content": "Hi"}]
        server.post({"model": f"many/made-up-{number}", "messages": messages})
        server.post({"model": f"made-up-{number}", "messages": messages}, "/compress")
    assert "made-up" not in httpx.get(f"{server.root}/metrics").text
    assert server.metric("precis_requests_total", model="other") >= 10
