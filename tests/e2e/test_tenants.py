"""Tenants over HTTP: who may call, what for, and what nobody else gets to see."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest

from tests.e2e.conftest import KEYS, PROVIDER_KEY
from tests.e2e.serving import Served
from tests.e2e.texts import MEETING
from tests.servers.recorder import Recorder

HELLO: list[Any] = [{"role": "user", "content": "Hello?"}]
LONG: list[Any] = [{"role": "user", "content": MEETING}]


def ask(
    shared: Served, tenant: str, messages: list[Any] = LONG, model: str = "m", **headers: str
) -> httpx.Headers:
    with shared.client(KEYS[tenant]) as client:
        raw = client.chat.completions.with_raw_response.create(
            model=model,
            messages=messages,
            extra_headers={f"x-precis-{name}": value for name, value in headers.items()},
        )
        return httpx.Headers(raw.headers)


def sent(upstream: Recorder) -> str:
    return str(upstream.requests[-1].json["messages"][0]["content"])


@pytest.mark.parametrize("path", ["/models", "/files", "/receipts/x"])
@pytest.mark.parametrize(
    "headers,code",
    [
        ({}, "missing_api_key"),
        ({"authorization": "Basic eDp5"}, "missing_api_key"),
        ({"authorization": "Bearer sk-nobodys"}, "invalid_api_key"),
        ({"api-key": "sk-nobodys"}, "invalid_api_key"),
    ],
)
def test_without_a_tenants_key_there_is_nothing(
    shared: Served, upstream: Recorder, path: str, headers: dict[str, str], code: str
) -> None:
    for answer in (
        httpx.get(shared.url + path, headers=headers),
        shared.post({"model": "m", "messages": HELLO}, headers=headers),
        shared.post({"model": "m", "messages": HELLO}, "/compress", headers=headers),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)
        assert "nobodys" not in answer.text
    assert not upstream.requests


def test_a_clients_error_is_the_one_it_knows(shared: Served) -> None:
    with shared.client("sk-wrong") as client, pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(model="m", messages=HELLO)
    assert caught.value.code == "invalid_api_key"


@pytest.mark.parametrize("model", ["m", "keyless"])
def test_a_tenants_key_never_reaches_the_upstream(
    shared: Served, upstream: Recorder, model: str
) -> None:
    key = KEYS["acme"]
    body = {"model": model, "messages": HELLO}
    for headers in ({"authorization": f"bearer {key}"}, {"api-key": key}):
        assert shared.post(body, headers=headers).status_code == 200
        assert shared.post(body, "/embeddings", headers=headers).status_code == 200
    assert len(upstream.requests) == 4
    for seen in upstream.requests:
        assert key not in str(seen.headers) + seen.query + seen.body.decode()
        assert seen.header("authorization") == (f"Bearer {PROVIDER_KEY}" if model == "m" else None)


def test_only_allowed_models_are_seen_and_served(shared: Served, upstream: Recorder) -> None:
    with shared.client(KEYS["globex"]) as client:
        assert [model.id for model in client.models.list()] == ["m", "keyless"]
        with pytest.raises(openai.PermissionDeniedError) as refused:
            client.chat.completions.create(model="other", messages=HELLO)
        assert refused.value.code == "model_not_allowed"
        with pytest.raises(openai.PermissionDeniedError):
            client.embeddings.create(model="other", input="x")
        with pytest.raises(openai.PermissionDeniedError):
            client.models.retrieve("other")
    assert not upstream.requests


@pytest.mark.parametrize(
    "body,content_type",
    [
        (b'{"model": "other", "input": "\\ud800"}', "application/json"),
        (b'{"input": "x", "model": "other"}', "Application/JSON; charset=utf-8"),
        (b'{"input": "x", "model": "other"}', "text/plain"),
        (b'{"model": "m", "model": "other"}', "application/json"),
        (b'\xef\xbb\xbf{"model": "other"}', "application/json"),
    ],
    ids=["surrogate", "case", "plain", "twice", "mark"],
)
def test_an_allow_list_cannot_be_talked_around(
    shared: Served, upstream: Recorder, body: bytes, content_type: str
) -> None:
    headers = {"authorization": f"Bearer {KEYS['globex']}", "content-type": content_type}
    answer = shared.post(body, "/embeddings", headers=headers)
    assert answer.status_code in (400, 403), answer.text
    assert not upstream.requests


def test_a_tenants_policy_lies_over_the_routes(shared: Served, upstream: Recorder) -> None:
    headers = ask(shared, "acme")
    assert headers["x-precis-policy"] == "default"
    gentle = int(headers["x-precis-tokens-after"])
    text = sent(upstream)
    assert text.count("forklift") == MEETING.count("forklift")
    assert gentle > int(ask(shared, "globex")["x-precis-tokens-after"])


def test_shadow_measures_and_sends_the_original(shared: Served, upstream: Recorder) -> None:
    headers = ask(shared, "quiet")
    assert headers["x-precis-decision"] == "shadow"
    assert int(headers["x-precis-tokens-saved"]) > 0
    assert sent(upstream) == MEETING


def test_off_sends_the_original_unmeasured(shared: Served, upstream: Recorder) -> None:
    headers = ask(shared, "silent")
    assert (headers["x-precis-decision"], headers["x-precis-reason"]) == ("unchanged", "off")
    assert sent(upstream) == MEETING


@pytest.mark.parametrize(
    "wish", [{"bypass": "true"}, {"policy": "hard"}, {"rate": "0.9"}, {"policy": "unknown"}]
)
def test_wishes_that_are_not_allowed_are_refused(
    shared: Served, upstream: Recorder, wish: dict[str, str]
) -> None:
    with pytest.raises(openai.PermissionDeniedError) as refused:
        ask(shared, "globex", **wish)
    assert refused.value.param == f"x-precis-{next(iter(wish))}"
    assert not upstream.requests


def test_wishes_that_make_no_sense_are_refused(shared: Served, upstream: Recorder) -> None:
    for wish in ({"bypass": "maybe"}, {"rate": "2"}, {"rate": "nan"}, {"policy": "unknown"}):
        with pytest.raises(openai.BadRequestError):
            ask(shared, "acme", **wish)
    assert not upstream.requests


def test_a_receipt_is_for_its_own_tenant_and_holds_no_text(
    shared: Served, upstream: Recorder
) -> None:
    number = ask(shared, "acme")["x-precis-request-id"]
    with shared.client(KEYS["acme"]) as client:
        receipt: Any = client.get(f"/receipts/{number}", cast_to=object)
    assert (receipt["id"], receipt["tenant"], receipt["decision"]) == (number, "acme", "compressed")
    done = receipt["messages"][0]
    assert "".join(MEETING[start:end] for start, end in done["kept"]) == sent(upstream)
    words = {word for word in MEETING.split() if len(word) > 8}
    assert not [word for word in words if word in json.dumps(receipt)]
    with shared.client(KEYS["globex"]) as client, pytest.raises(openai.NotFoundError) as not_yours:
        client.get(f"/receipts/{number}", cast_to=object)
    with shared.client(KEYS["acme"]) as client, pytest.raises(openai.NotFoundError) as no_such:
        client.get("/receipts/req_none", cast_to=object)
    assert not_yours.value.body == no_such.value.body


def test_requests_are_counted_by_tenant(shared: Served, upstream: Recorder) -> None:
    def count() -> float:
        return shared.metric("precis_requests_total", tenant="acme", decision="compressed")

    before = count()
    ask(shared, "acme")
    assert count() == before + 1
