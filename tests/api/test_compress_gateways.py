"""``/v1/compress`` as other gateways call it, with what they send and what they check.

LiteLLM's headroom guardrail sends ``{"messages", "model"?}``, parts that are all text joined to
strings, system, last and assistant rows held back; it wants as many rows as it sent, objects, with
the same roles, and counts by ``tokens_before``, ``tokens_after`` and ``tokens_saved``. (The
guardrail itself runs in tests/e2e/test_headroom_guardrail.py.)
agentgateway's context compression, by its source, sends ``{"messages", "model"?}`` with the
messages as its client wrote them, Anthropic's too, and takes any list of objects that is not empty.
Portkey has tests of its own beside these. Others send ``{"messages", "model"}``, some with a
``config``. All go by the status for errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from proxy.app import build
from proxy.config import Config
from proxy.config_policy import NamedPolicy
from proxy.config_routes import RouteSettings
from tests.compress.readers import fake

LONG = "The word of a number is in the number of words, and it was for that. " * 20
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}

LITELLM: list[Any] = [
    {"role": "user", "content": LONG},
    {"role": "tool", "tool_call_id": "call_1", "content": LONG},
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]},
]
OPENAI: list[Any] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": LONG}], "name": "ann"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": LONG},
]
ANTHROPIC: list[Any] = [
    {"role": "user", "content": "Look."},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "t", "content": LONG},
            {"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}},
        ],
    },
]
RESPONSES: list[Any] = [
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": LONG}]},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": LONG},
]


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    policy = NamedPolicy(rate=0.5, min_tokens=100, deadline_ms=60_000)
    config = Config(policies={"p": policy}, routes=(RouteSettings(policy="p"),))
    with TestClient(build(config, fake())) as running:
        yield running


def post(client: TestClient, body: Any, **headers: str) -> httpx.Response:
    answer = client.post("/v1/compress", json=body, headers=headers)
    assert answer.headers["content-type"] == "application/json"
    return answer


def shapes(value: Any) -> Any:
    """A value with its strings gone; two that differ in nothing but texts are equal then."""
    if isinstance(value, dict):
        return {name: shapes(v) for name, v in value.items()}
    return [shapes(v) for v in value] if isinstance(value, list) else type(value)


@pytest.mark.parametrize("model", [None, "gpt-4o", "anthropic/claude-sonnet-4-5", "made/up"])
@pytest.mark.parametrize("messages", [LITELLM, OPENAI, ANTHROPIC, RESPONSES])
def test_rows_come_back_in_their_places_with_shorter_texts(
    client: TestClient, messages: list[Any], model: str | None
) -> None:
    body = {"messages": messages, **({"model": model} if model else {})}
    answer = post(client, body, authorization="Bearer the-gateways-own")
    assert answer.status_code == 200
    got = answer.json()
    assert shapes(got["messages"]) == shapes(messages)
    assert [m.get("role") for m in got["messages"]] == [m.get("role") for m in messages]
    assert len(str(got["messages"])) < 0.7 * len(str(messages))
    assert got["tokens_saved"] == got["tokens_before"] - got["tokens_after"] > 200
    assert got["compression_ratio"] == pytest.approx(got["tokens_after"] / got["tokens_before"])
    assert len(got["transforms_applied"]) == 2


def test_the_numbers_are_numbers(client: TestClient) -> None:
    got = post(client, {"messages": LITELLM, "model": "gpt-4o"}).json()
    kinds = {name: type(got[name]) for name in got}
    assert kinds == {
        "messages": list,
        "tokens_before": int,
        "tokens_after": int,
        "tokens_saved": int,
        "compression_ratio": float,
        "transforms_applied": list,
        "receipt": str,
    }


def test_wishes_for_another_engine_are_no_error(client: TestClient) -> None:
    config = {"mode": "lossy_inline", "target_ratio": 0.5, "protect_recent": 2}
    assert post(client, {"messages": LITELLM, "model": "m", "config": config}).is_success


def test_an_asked_bypass_gives_the_messages_back(client: TestClient) -> None:
    got = post(client, {"messages": OPENAI}, **{"x-precis-bypass": "true"})
    assert got.json()["messages"] == OPENAI
    assert got.json()["tokens_saved"] == 0


@pytest.mark.parametrize(
    "body,param",
    [
        ({}, "messages"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": None}, "messages"),
        ({"model": "m", "messages": []}, "messages"),
        ({"model": "m", "messages": "text"}, "messages"),
        ({"model": "m", "messages": ["text"]}, "messages.0"),
        ({"model": "m", "messages": [{"content": "no role"}]}, "messages.0.role"),
        ({"model": "m", "messages": [{"role": "user", "content": 7}]}, "messages.0.content"),
        ({"model": ["m"], "messages": OPENAI}, "model"),
        ({"model": "", "messages": OPENAI}, "model"),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": 7}]}]},
            "messages.0.content.0.content",
        ),
    ],
)
def test_what_can_not_be_used_is_told(client: TestClient, body: Any, param: str) -> None:
    answer = post(client, body)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (
        400,
        "invalid_request_error",
        param,
    )


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b'{"messages": [', b"\xff"])
def test_what_is_no_json_object_is_told(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/compress", content=body)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
