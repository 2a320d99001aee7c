"""What is wrong with a request is said in the shape that OpenAI's clients know."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.e2e.serving import Served
from tests.servers.recorder import Recorder

HELLO: list[Any] = [{"role": "user", "content": "Hello?"}]


def error(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The error of an answer that has the one shape."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-precis-request-id"].startswith("req_")
    assert list(answer.json()) == ["type", "error"][0 if "/messages" in str(answer.url) else 1 :]
    found: dict[str, Any] = answer.json()["error"]
    assert set(found) == {"message", "type", "param", "code"}
    assert isinstance(found["code"], str) and found["code"]
    assert isinstance(found["message"], str) and found["message"]
    return found


def deep(depth: int, opening: str = "[", closing: str = "]") -> str:
    return opening * depth + closing * depth


MALFORMED = [
    (b"", "invalid_json"),
    (b"{", "invalid_json"),
    (b"[]", "invalid_type"),
    (b"null", "invalid_type"),
    (b'{"model":"m","messages":[}', "invalid_json"),
    (b'{"model":"m","messages":[],}', "invalid_json"),
    (b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}', "invalid_json"),
    (b'{"model":"m"} trailing', "invalid_json"),
    (b'{"model":"m"}', "missing_field"),
    (b'{"model":7,"messages":[]}', "invalid_type"),
    (b'{"model":"","messages":[{"role":"user"}]}', "invalid_value"),
    (b'{"model":"m","messages":{}}', "invalid_type"),
    (b'{"model":"m","messages":[]}', "empty_array"),
    (b'{"model":"m","messages":["x"]}', "invalid_type"),
    (b'{"model":"m","messages":[{}]}', "missing_field"),
    (b'{"model":"m","messages":[{"role":1}]}', "invalid_type"),
    (b'{"model":"m","messages":[{"role":"user","content":7}]}', "invalid_type"),
    (b'{"model":"m","messages":[{"role":"user","content":[7]}]}', "invalid_type"),
    (b'{"model":"m","messages":[{"role":"user","content":[{"type":"text"}]}]}', "invalid_type"),
    (b'{"model":"m","stream":"yes","messages":[{"role":"user","content":"x"}]}', "invalid_type"),
    (f'{{"model":"m","x":{deep(500)},"messages":[{{"role":"user"}}]}}'.encode(), "too_deep"),
    (f'{{"model":"m","messages":[{{"role":"user","x":{deep(100_000)}}}]}}'.encode(), "too_deep"),
    (deep(100_000).encode(), "invalid_type"),
    (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "too_deep"),
]


@pytest.mark.parametrize("path", ["/chat/completions", "/compress"])
@pytest.mark.parametrize(
    "body,code", MALFORMED, ids=[body[:60].decode("latin-1") for body, _ in MALFORMED]
)
def test_a_body_that_can_not_be_used_is_refused(
    server: Served, upstream: Recorder, path: str, body: bytes, code: str
) -> None:
    found = error(server.post(body, path), 400)
    assert (found["type"], found["code"]) == ("invalid_request_error", code)
    assert not upstream.requests


def test_a_model_is_needed_where_one_is_called(server: Served) -> None:
    found = error(server.post({"messages": HELLO}), 400)
    assert (found["code"], found["param"]) == ("missing_field", "model")


def test_an_unknown_model_is_named(server: Served) -> None:
    found = error(server.post({"model": "gpt-none", "messages": HELLO}), 404)
    assert (found["code"], found["param"]) == ("model_not_found", "model")
    assert "gpt-none" in found["message"] and "echo" in found["message"]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused(
    server: Served, upstream: Recorder, chunked: bool
) -> None:
    body = json.dumps({"model": "m", "messages": HELLO, "x": "y" * 2_100_000}).encode()
    pieces = (body[at : at + 65_536] for at in range(0, len(body), 65_536))
    answer = httpx.post(
        f"{server.url}/chat/completions", content=pieces if chunked else body, timeout=30
    )
    assert error(answer, 413)["code"] == "request_too_large"
    assert not upstream.requests


def test_a_compressed_body_is_refused(server: Served) -> None:
    answer = server.post(b"\x1f\x8b", headers={"content-encoding": "gzip"})
    assert "Content-Encoding" in error(answer, 400)["message"]


@pytest.mark.parametrize("path", ["/", "/v2/chat/completions", "/completions", "/health", "/v1"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_route_is_told(server: Served, path: str, method: str) -> None:
    assert error(httpx.request(method, server.root + path), 404)["code"] == "unknown_url"


@pytest.mark.parametrize(
    "method,path,allowed",
    [
        ("PUT", "/v1/chat/completions", "GET, POST"),
        ("DELETE", "/v1/chat/completions", "GET, POST"),
        ("GET", "/v1/completions", "POST"),
        ("GET", "/v1/completions/", "POST"),
        ("PATCH", "/v1/responses", "POST"),
        ("DELETE", "/v1/messages", "POST"),
        ("GET", "/v1/messages/count_tokens", "POST"),
        ("OPTIONS", "/v1/chat/completions", "POST"),
        ("PUT", "/chat/completions", "POST"),
        ("GET", "/v1/compress", "POST"),
        ("POST", "/v1/models", "GET"),
        ("DELETE", "/v1/models/m", "GET"),
        ("POST", "/v1/receipts/x", "GET"),
        ("POST", "/metrics", "GET"),
        ("POST", "/health/readiness", "GET"),
    ],
)
def test_a_wrong_method_is_told(
    server: Served, upstream: Recorder, method: str, path: str, allowed: str
) -> None:
    answer = httpx.request(method, server.root + path)
    assert error(answer, 405)["code"] == "method_not_allowed"
    assert allowed in answer.headers["allow"]
    assert not upstream.requests


def test_a_path_that_leaves_v1_is_refused(server: Served, upstream: Recorder) -> None:
    answer = httpx.get(f"{server.root}/v1/files/..%2F..%2Fadmin")
    assert error(answer, 404)
    assert not upstream.requests


def test_a_receipt_that_is_not_there_is_told(server: Served) -> None:
    assert error(httpx.get(f"{server.url}/receipts/none"), 404)["code"] == "receipt_not_found"
