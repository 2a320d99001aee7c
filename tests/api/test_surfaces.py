"""What holds on every surface alike: receipts of what failed, and one shape of errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from proxy.app import build
from proxy.config import Config
from tests.compress.readers import fake

LONG = "The word of a number is in the number of words, and it was for that. " * 20
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": LONG}]},
    "/chat/completions/": {"messages": [{"role": "user", "content": LONG}]},
    "/v1/completions": {"prompt": LONG},
    "/v1/responses": {"input": LONG},
    "/v1/messages": {"messages": [{"role": "user", "content": LONG}]},
}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    nowhere = {"api_base": "http://127.0.0.1:9/v1", "max_retries": 0, "api_key": "k"}
    config = {
        "model_list": [
            {"model_name": "m", "litellm_params": {"model": "openai/x", **nowhere}},
            {"model_name": "echo", "litellm_params": {"model": "echo"}},
        ],
        "policies": {"p": {"min_tokens": 100, "deadline_ms": 60_000}},
        "routes": [{"policy": "p"}],
    }
    with TestClient(build(Config.model_validate(config), fake())) as running:
        yield running


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", BODIES)
def test_a_request_that_ends_in_our_502_has_a_receipt(
    client: TestClient, path: str, stream: bool
) -> None:
    answer = client.post(path, json={"model": "m", "stream": stream, **BODIES[path]})
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "upstream_unreachable"
    receipt = client.get(f"/v1/receipts/{answer.headers['x-precis-request-id']}").json()
    assert (receipt["status"], receipt["error"]) == (502, "upstream_unreachable")
    assert receipt["decision"] == "compressed" and receipt["tokens_saved"] > 0


@pytest.mark.parametrize("path", BODIES)
def test_every_surface_says_what_it_did(client: TestClient, path: str) -> None:
    answer = client.post(path, json={"model": "echo", **BODIES[path]})
    assert answer.status_code == 200
    assert answer.headers["x-precis-decision"] == "compressed"
    skipped = client.post(
        path, json={"model": "echo", **BODIES[path]}, headers={"x-precis-bypass": "true"}
    )
    assert skipped.headers["x-precis-decision"] == "bypassed"
    assert LONG.split(". ")[0] in skipped.text


@pytest.mark.parametrize("path", BODIES)
def test_every_surface_tells_errors_alike(client: TestClient, path: str) -> None:
    for body, status in ((b"{", 400), (b'{"model": "none", "messages": [{"role": "user"}]}', 404)):
        error = client.post(path, content=body).json()
        assert set(error["error"]) == {"message", "type", "param", "code"}
        assert error.get("type") == ("error" if path == "/v1/messages" else None)
        assert client.post(path, content=body).status_code == status
