"""From the upstream's usage to receipt and metrics, whole answers and streams, zipped or not."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.e2e.serving import Served, until
from tests.e2e.texts import MEETING
from tests.servers.recorder import Recorder, Reply

USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 7,
    "prompt_tokens_details": {"cached_tokens": 400},
}
STREAM = [b'data: {"choices":[],"usage":null}\n\n'] * 3 + [
    b'data: {"choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":7,"prompt_to',
    b'kens_details":{"cached_tokens":400}}}\n\ndata: [DONE]\n\n',
]


def ended(server: Served, answer: httpx.Response) -> dict[str, Any]:
    where = f"{server.url}/receipts/{answer.headers['x-precis-request-id']}"

    def look() -> dict[str, Any] | None:
        receipt: dict[str, Any] = httpx.get(where).json()
        return receipt if receipt["whole"] is not None else None

    receipt = until(look)
    assert receipt is not None
    return receipt


@pytest.mark.parametrize("kind", ["whole", "zipped", "stream"])
def test_what_the_upstream_counted_is_in_the_receipt_and_in_the_metrics(
    server: Served, upstream: Recorder, kind: str
) -> None:
    counted = {
        name: server.metric(f"precis_{name}_total", model="m")
        for name in ("prompt_tokens_saved", "prompt_tokens_cached_anyway")
    }
    cached = server.metric("precis_upstream_tokens_total", model="m", kind="cached")
    reply = Reply(chunks=STREAM) if kind == "stream" else Reply(body={"usage": USAGE})
    if kind == "zipped":
        reply = Reply(body={"usage": USAGE}, gzip=True)
    upstream.script([reply])
    body = {"model": "m", "messages": [{"role": "user", "content": MEETING}]}
    answer = server.post({**body, "stream": kind == "stream"})
    receipt = ended(server, answer)
    assert receipt["usage"] == {
        "prompt_tokens": 1000,
        "cached_tokens": 400,
        "completion_tokens": 7,
    }
    assert (receipt["upstream"], receipt["whole"]) == ("openai/real-model", True)
    saved = receipt["savings"]
    assert saved["gross_tokens"] == receipt["tokens_saved"] > 100
    assert saved["net_tokens"] == pytest.approx(0.6 * saved["gross_tokens"], abs=1)
    assert (saved["gross_usd"], saved["net_usd"]) == (None, None)  # nobody knows its price
    assert server.metric("precis_upstream_tokens_total", model="m", kind="cached") == cached + 400
    for name, now in (
        ("prompt_tokens_saved", saved["gross_tokens"]),
        ("prompt_tokens_cached_anyway", saved["gross_tokens"] - saved["net_tokens"]),
    ):
        assert server.metric(f"precis_{name}_total", model="m") == counted[name] + now


def test_upstreams_are_asked_for_no_coding_that_cannot_be_read(
    server: Served, upstream: Recorder
) -> None:
    for asked, passed in (
        ("gzip, deflate, br, zstd", "gzip, deflate"),
        ("br;q=1.0, gzip;q=0.5", "gzip;q=0.5"),
        ("br", "identity"),
    ):
        body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
        server.post(body, headers={"accept-encoding": asked})
        assert upstream.requests[-1].header("accept-encoding") == passed
