"""``/v1/compress`` as Portkey calls it, from a webhook guardrail or from its Headroom guardrail.

The payloads are those of ``@portkey-ai/gateway`` 1.15.2's webhook plugin, and the fields that
Portkey's documentation lists for Headroom, which its open gateway does not have.
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
from proxy.config_tenants import TenantSettings
from proxy.tenants import new_key
from tests.compress.readers import fake

LONG = "The word of a number is in the number of words, and it was for that. " * 20
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CHAT: dict[str, Any] = {
    "stream": False,
    "messages": [
        {"role": "system", "content": "You are a helpful assistant"},
        {"role": "user", "content": LONG},
    ],
    "max_tokens": 20,
    "temperature": 0.10,
    "n": 1,
    "model": "gpt-4o-mini",
    "tools": [TOOL],
}
REQUESTS: dict[str, dict[str, Any]] = {
    "chatComplete": CHAT,
    "complete": {"model": "gpt-3.5-turbo-instruct", "prompt": LONG, "max_tokens": 20},
    "messages": {
        "model": "claude-sonnet-4-5",
        "system": "Be brief.",
        "max_tokens": 20,
        "messages": [{"role": "user", "content": [{"type": "text", "text": LONG}]}],
    },
    "createModelResponse": {"model": "gpt-5", "instructions": "Be brief.", "input": LONG},
}


def event(request: Any, kind: str = "chatComplete", when: str = "beforeRequestHook") -> Any:
    """What the plugin posts, its order and its empty fields included."""
    return {
        "request": {
            "json": request,
            "text": LONG,
            "isStreamingRequest": False,
            "isTransformed": False,
        },
        "response": {"json": {}, "text": "", "statusCode": None, "isTransformed": False},
        "provider": "openai",
        "requestType": kind,
        "metadata": {"_user": "ann"},
        "eventType": when,
    }


def config(**more: Any) -> Config:
    policy = NamedPolicy(rate=0.5, min_tokens=100, deadline_ms=60_000)
    return Config(policies={"p": policy}, routes=(RouteSettings(policy="p"),), **more)


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(build(config(), fake())) as running:
        yield running


def post(client: TestClient, body: Any, **headers: str) -> httpx.Response:
    return client.post("/v1/compress", json=body, headers=headers)


@pytest.mark.parametrize(
    "kind,name",
    [
        ("chatComplete", "messages"),
        ("complete", "prompt"),
        ("messages", "messages"),
        ("createModelResponse", "input"),
    ],
)
def test_the_whole_request_comes_back_with_shorter_texts(
    client: TestClient, kind: str, name: str
) -> None:
    request = REQUESTS[kind]
    got = post(client, event(request, kind))
    answer = got.json()
    assert (got.status_code, answer["verdict"]) == (200, True)
    (new,) = answer["transformedData"]["request"].values()
    assert list(new) == list(request)
    assert [n for n in request if new[n] != request[n]] == [name]
    assert len(str(new)) < len(str(request)) - 0.3 * len(LONG)
    data = answer["data"]
    assert data["tokens_saved"] == data["tokens_before"] - data["tokens_after"] > 100
    assert data["decision"] == "compressed" == got.headers["x-precis-decision"]
    assert client.get(f"/v1/receipts/{data['receipt']}").status_code == 200


def test_a_request_by_itself_and_within_an_event_become_the_same(client: TestClient) -> None:
    alone = post(client, CHAT).json()
    within = post(client, event(CHAT)).json()
    assert within["transformedData"]["request"]["json"]["messages"] == alone["messages"]
    assert within["data"]["tokens_after"] == alone["tokens_after"]


def test_a_request_that_is_not_changed_is_left_to_portkey(client: TestClient) -> None:
    short = {**CHAT, "messages": CHAT["messages"][:1]}
    for body, headers in ((short, {}), (CHAT, {"x-precis-bypass": "true"})):
        answer = post(client, event(body), **headers).json()
        assert answer["verdict"] is True and "transformedData" not in answer
        assert answer["data"]["tokens_saved"] == 0


@pytest.mark.parametrize(
    "body",
    [
        event({"model": "m", "input": LONG}, "embed"),
        event({"model": "m", "prompt": "a cat"}, "imageGenerate"),
        event(CHAT, "chatComplete", "afterRequestHook"),
        {"eventType": "beforeRequestHook"},
    ],
)
def test_events_with_nothing_to_compress_may_go_on(client: TestClient, body: Any) -> None:
    got = post(client, body)
    assert (got.status_code, got.json()) == (
        200,
        {"verdict": True, "data": {"reason": "nothing to compress"}},
    )


@pytest.mark.parametrize(
    "body,param",
    [
        (event([]), "request.json"),
        (event(None), "request.json"),
        ({**event(CHAT), "request": "x"}, "request"),
        (event({"model": "m"}), "messages"),
        (event({"model": "m", "messages": [{"role": "user", "content": 7}]}), "messages.0.content"),
        (event({**CHAT, "model": 7}), "model"),
    ],
)
def test_what_can_not_be_used_is_told(client: TestClient, body: Any, param: str) -> None:
    """By the status: Portkey then sends the request as it is, and shows the error."""
    got = post(client, body)
    error = got.json()["error"]
    assert (got.status_code, error["type"], error["param"]) == (
        400,
        "invalid_request_error",
        param,
    )


def test_a_message_that_speaks_of_events_is_no_event(client: TestClient) -> None:
    body = {**CHAT, "eventType": "beforeRequestHook", "request": {"json": {}}}
    assert post(client, body).json()["messages"][0] == CHAT["messages"][0]


def test_the_headroom_guardrails_settings_are_no_error(client: TestClient) -> None:
    settings = {
        "compress_user_messages": True,
        "compress_system_messages": False,
        "target_ratio": 0.5,
        "protect_recent": 0,
        "protect_analysis_context": True,
    }
    body = {"messages": CHAT["messages"], "model": "gpt-4o-mini"}
    plain = post(client, body).json()
    for more in ({"config": settings, "token_budget": 4000}, settings):
        answer = post(client, {**body, **more}).json()
        assert {**answer, "receipt": ""} == {**plain, "receipt": ""}
    assert plain["tokens_saved"] > 100


def test_a_tenants_key_is_needed_and_its_models_hold(client: TestClient) -> None:
    key, hashed = new_key()
    tenants = {"t": TenantSettings(keys=(hashed,), models=("gpt-4o*",))}
    with TestClient(build(config(tenants=tenants), fake())) as closed:
        held = {"authorization": f"Bearer {key}"}
        assert post(closed, event(CHAT)).status_code == 401
        assert post(closed, event(CHAT), **held).json()["verdict"] is True
        assert post(closed, event({**CHAT, "model": "other"}), **held).status_code == 403
