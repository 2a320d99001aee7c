"""Upstreams that refuse, stall or break: what the client gets, and how often we tried."""

from __future__ import annotations

import time
from typing import Any

import httpx
import openai
import pytest

from tests.e2e.serving import Served
from tests.e2e.texts import REPORT
from tests.servers.recorder import Recorder, Reply

HELLO: list[Any] = [{"role": "user", "content": "Hello?"}]
LIMITS = {
    "x-ratelimit-remaining-requests": "0",
    "x-ratelimit-reset-tokens": "6m0s",
    "x-request-id": "req_upstreams_own",
    "openai-processing-ms": "12",
}


@pytest.mark.parametrize(
    "status,kind",
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
        (529, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_reaches_the_client_as_it_is(
    server: Served, upstream: Recorder, status: int, kind: type[openai.APIStatusError], stream: bool
) -> None:
    upstream.script([Reply(status=status, headers=LIMITS)] * 3)
    with server.client() as client, pytest.raises(kind) as caught:
        client.chat.completions.create(model="once", messages=HELLO, stream=stream)
    assert caught.value.status_code == status
    assert caught.value.code == f"scripted_{status}"
    assert caught.value.request_id == "req_upstreams_own"
    headers = caught.value.response.headers
    assert headers.items() >= LIMITS.items()
    assert headers["x-precis-decision"] == "unchanged"
    assert len(upstream.requests) == 1


def test_a_refusal_of_a_compressed_request_says_that_it_was(
    server: Served, upstream: Recorder
) -> None:
    upstream.script([Reply(status=400, body={"error": {"code": "context_length_exceeded"}})])
    answer = server.post({"model": "m", "messages": [{"role": "user", "content": REPORT}]})
    assert answer.json() == {"error": {"code": "context_length_exceeded"}}
    assert answer.headers["x-precis-decision"] == "compressed"


def test_a_refusal_that_is_not_json_stays_what_it_is(server: Served, upstream: Recorder) -> None:
    page = "<html>502 Bad Gateway</html>"
    upstream.script([Reply(status=502, body=page, headers={"content-type": "text/html"})] * 3)
    answer = server.post({"model": "once", "messages": HELLO})
    assert (answer.status_code, answer.text) == (502, page)
    assert answer.headers["content-type"] == "text/html"


def test_retry_after_is_honoured_and_passed_on(server: Served, upstream: Recorder) -> None:
    waits = {"retry-after-ms": "40", "retry-after": "1"}
    upstream.script([Reply(status=429, headers=waits)] * 5)
    started = time.monotonic()
    with server.client() as client, pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="retried", messages=HELLO)
    assert time.monotonic() - started >= 0.08  # that it waited, not how fast it was
    assert caught.value.response.headers["retry-after"] == "1"
    assert len(upstream.requests) == 3


@pytest.mark.parametrize("failure", [Reply(status=500), Reply(status=503), Reply(raw=b"")])
@pytest.mark.parametrize("stream", [False, True])
def test_a_passing_failure_is_never_seen(
    server: Served, upstream: Recorder, failure: Reply, stream: bool
) -> None:
    upstream.script([failure, failure])
    with server.client() as client:
        answer: Any = client.chat.completions.create(model="retried", messages=HELLO, stream=stream)
        assert list(answer)
    assert len({seen.body for seen in upstream.requests}) == 1
    assert len(upstream.requests) == 3


def test_a_fallback_answers_under_its_own_model_and_key(server: Served, upstream: Recorder) -> None:
    with server.client() as client:
        answer = client.chat.completions.create(model="rescued", messages=HELLO)
    assert answer.choices[0].message.content == "Hello from upstream."
    assert upstream.requests[0].json["model"] == "real-model"
    assert upstream.requests[0].json["temperature"] == 0.25


def test_an_upstream_that_is_not_there_is_a_502(server: Served) -> None:
    with server.client() as client, pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="nowhere", messages=HELLO)
    assert caught.value.status_code == 502
    assert caught.value.code == "upstream_unreachable"
    assert caught.value.response.headers["x-precis-request-id"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_silent_upstream_is_a_504(server: Served, upstream: Recorder, stream: bool) -> None:
    upstream.script([Reply(never=True)])
    with server.client() as client, pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="slow", messages=HELLO, stream=stream)
    assert (caught.value.status_code, caught.value.code) == (504, "upstream_timeout")
    assert upstream.requests[0].wait_disconnected()


def test_an_upstream_that_does_not_speak_http_is_a_502(server: Served, upstream: Recorder) -> None:
    upstream.script([Reply(raw=b"SSH-2.0-OpenSSH_9.6\r\n")] * 3)
    answer = server.post({"model": "once", "messages": HELLO})
    assert (answer.status_code, answer.json()["error"]["type"]) == (502, "upstream_error")


def test_a_failure_is_counted(server: Served, upstream: Recorder) -> None:
    def count() -> float:
        return server.metric("precis_requests_total", model="once", status="400")

    before = count()
    upstream.script([Reply(status=400)])
    assert server.post({"model": "once", "messages": HELLO}).status_code == 400
    assert count() == before + 1


def test_many_headers_and_odd_ones_come_back(server: Served, upstream: Recorder) -> None:
    odd = {f"x-many-{i}": "v" * 100 for i in range(50)} | {"x-odd": "caf\u00e9 \t;,="}
    upstream.script([Reply(headers=odd)])
    assert server.post({"model": "m", "messages": HELLO}).headers.items() >= odd.items()


def test_an_upstreams_decision_headers_are_not_ours(server: Served, upstream: Recorder) -> None:
    """Precis behind Precis: the outer one speaks for itself."""
    upstream.script([Reply(headers={"x-precis-decision": "compressed", "x-precis-ms": "9"})])
    answer = server.post({"model": "m", "messages": HELLO})
    assert answer.headers.get_list("x-precis-decision") == ["unchanged"]


def test_health_does_not_hang_on_upstreams(server: Served) -> None:
    assert httpx.get(f"{server.root}/health/liveliness").json() == {"status": "alive"}
    assert httpx.get(f"{server.root}/health/readiness").json()["status"] == "ready"
