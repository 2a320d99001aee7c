"""Anthropic's Messages through its real client, to an upstream that speaks the same."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx
import pytest

from tests.e2e.conftest import KEYS, PROVIDER_KEY
from tests.e2e.serving import Served
from tests.e2e.texts import MEETING, QUESTION, REPORT
from tests.servers.recorder import Recorder, Reply

HELLO: list[Any] = [{"role": "user", "content": "Hello?"}]
CACHED = {"cache_control": {"type": "ephemeral"}}
TOOL: Any = {"name": "minutes", "description": MEETING, "input_schema": {"type": "object"}}


def client_of(served: Served, key: str = "sk-ant-client", **settings: Any) -> anthropic.Anthropic:
    http = anthropic.DefaultHttpxClient(verify=False)
    settings = {"api_key": key, "max_retries": 0, **settings}
    return anthropic.Anthropic(base_url=served.root, http_client=http, **settings)


def ask(client: anthropic.Anthropic, messages: list[Any] = HELLO, **fields: Any) -> Any:
    fields = {"model": "claude", "max_tokens": 50, "messages": messages, **fields}
    return client.messages.with_raw_response.create(**fields)


def test_a_message_reaches_the_model_shorter(server: Served, upstream: Recorder) -> None:
    with client_of(server) as client:
        raw = ask(client, [{"role": "user", "content": REPORT}])
    assert raw.parse().content[0].text == "Hello from upstream."
    seen = upstream.requests[0]
    assert (seen.path, seen.json["model"]) == ("/v1/messages", "claude-x")
    sent = seen.json["messages"][0]["content"]
    assert QUESTION in sent and len(sent) < 0.75 * len(REPORT)
    assert raw.headers["x-precis-decision"] == "compressed"
    assert int(raw.headers["x-precis-tokens-saved"]) > 0


def test_the_entrys_key_and_the_clients_version_go_upstream(
    server: Served, upstream: Recorder
) -> None:
    headers = {"anthropic-beta": "a,b", "anthropic-version": "2024-02-29"}
    with client_of(server, default_headers=headers) as client:
        ask(client)
    seen = upstream.requests[0]
    assert seen.header("x-api-key") == PROVIDER_KEY
    assert seen.header("anthropic-version") == "2024-02-29"
    assert seen.header("anthropic-beta") == "a,b"
    assert seen.header("authorization") is None
    assert "sk-ant-client" not in str(seen.headers)


def test_without_a_key_of_the_entrys_the_clients_goes_upstream(
    server: Served, upstream: Recorder
) -> None:
    with client_of(server) as client:
        ask(client, model="claude-keyless")
    body = {"model": "claude-keyless", "max_tokens": 9, "messages": HELLO}
    server.post(body, "/messages", headers={"x-api-key": "sk-ant-older"})
    first, second = upstream.requests
    assert (first.header("authorization"), first.header("x-api-key")) == (
        "Bearer sk-ant-client",
        None,
    )
    assert (second.header("authorization"), second.header("x-api-key")) == (None, "sk-ant-older")
    assert second.header("anthropic-version") == "2023-06-01"


def test_blocks_keep_all_but_the_words_of_long_texts(server: Served, upstream: Recorder) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}}
    said = [
        {"type": "thinking", "thinking": MEETING, "signature": "c2ln"},
        {"type": "text", "text": MEETING},
        {"type": "tool_use", "id": "toolu_1", "name": "minutes", "input": {"text": MEETING}},
    ]
    results = [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": MEETING, "is_error": False},
        {
            "type": "tool_result",
            "tool_use_id": "toolu_2",
            "content": [image, {"type": "text", "text": MEETING, **CACHED}],
            **CACHED,
        },
        {"type": "text", "text": MEETING, **CACHED},
        image,
    ]
    messages = [
        {"role": "user", "content": "What was decided?"},
        {"role": "assistant", "content": said},
        {"role": "user", "content": results},
    ]
    system = [{"type": "text", "text": MEETING, **CACHED}]
    with client_of(server) as client:
        ask(client, messages, system=system, tools=[TOOL])
    sent = upstream.requests[0].json
    assert (sent["system"], sent["tools"]) == (system, [TOOL])
    assert sent["messages"][:2] == messages[:2]
    plain, listed, text, last = sent["messages"][2]["content"]
    assert plain | {"content": MEETING} == results[0] and last == image
    assert text | {"text": MEETING} == results[2]
    inner = listed["content"][1]
    assert inner | {"text": MEETING} == {"type": "text", "text": MEETING, **CACHED}
    assert listed | {"content": results[1]["content"]} == results[1]
    for short in (plain["content"], inner["text"], text["text"]):
        assert len(short) < 0.8 * len(MEETING)


def test_a_growing_conversation_keeps_its_prefix(server: Served, upstream: Recorder) -> None:
    turns: list[Any] = []
    with client_of(server) as client:
        for turn in range(3):
            turns.append(
                {"role": "user", "content": [{"type": "text", "text": f"{MEETING} {turn}?"}]}
            )
            ask(client, turns)
            turns.append({"role": "assistant", "content": [{"type": "text", "text": "Yes."}]})
    first, second, third = (seen.json["messages"] for seen in upstream.requests)
    assert third[: len(second)] == second and second[: len(first)] == first
    assert len(first[0]["content"][0]["text"]) < 0.8 * len(MEETING)


def test_a_stream_is_relayed(server: Served, upstream: Recorder) -> None:
    upstream.script([Reply(content="Four words, no more.")])
    messages: Any = [{"role": "user", "content": MEETING}]
    with (
        client_of(server) as client,
        client.messages.stream(model="claude", max_tokens=9, messages=messages) as stream,
    ):
        assert "".join(stream.text_stream) == "Four words, no more."
    assert len(upstream.requests[0].json["messages"][0]["content"]) < 0.8 * len(MEETING)


async def test_the_asynchronous_client_is_answered(server: Served, upstream: Recorder) -> None:
    http = anthropic.DefaultAsyncHttpxClient(verify=False)
    async with anthropic.AsyncAnthropic(
        base_url=server.root, api_key="k", http_client=http
    ) as client:
        answer = await client.messages.create(model="claude", max_tokens=9, messages=HELLO)
    assert answer.content[0].type == "text"


@pytest.mark.parametrize("stream", [False, True])
def test_tools_are_called(server: Served, upstream: Recorder, stream: bool) -> None:
    upstream.script([Reply(tool_calls=[{"name": "minutes", "arguments": {"day": 4}}])])
    asked: Any = {"model": "claude", "max_tokens": 9, "messages": HELLO, "tools": [TOOL]}
    with client_of(server) as client:
        if stream:
            with client.messages.stream(**asked) as events:
                answer: Any = events.get_final_message()
        else:
            answer = client.messages.create(**asked)
    assert answer.content[0].input == {"day": 4}
    assert answer.stop_reason == "tool_use"


def test_tokens_are_counted_by_the_provider(server: Served, upstream: Recorder) -> None:
    messages: Any = [{"role": "user", "content": MEETING}]
    with client_of(server) as client:
        assert client.messages.count_tokens(model="claude", messages=messages).input_tokens == 11
    seen = upstream.requests[0]
    assert (seen.path, seen.header("x-api-key")) == ("/v1/messages/count_tokens", PROVIDER_KEY)
    assert seen.json == {"model": "claude-x", "messages": messages}


def test_batches_pass_through_to_the_entry_that_speaks_the_same(
    server: Served, upstream: Recorder
) -> None:
    answer = httpx.get(f"{server.url}/messages/batches/b_1", timeout=30)
    assert answer.json()["path"] == "/v1/messages/batches/b_1"
    assert upstream.requests[0].header("x-api-key") == PROVIDER_KEY


@pytest.mark.parametrize("stream", [False, True])
def test_echo_answers_with_what_would_have_been_sent(server: Served, stream: bool) -> None:
    asked: Any = {"model": "echo", "max_tokens": 9, "messages": HELLO, "system": "Be kind."}
    with client_of(server) as client:
        if stream:
            with client.messages.stream(**asked) as events:
                said = events.get_final_text()
        else:
            said = client.messages.create(**asked).content[0].text
        counted = client.messages.count_tokens(model="echo", messages=HELLO).input_tokens
    assert (said, counted) == ("Be kind.\n\nHello?", 2)


@pytest.mark.parametrize("stream", [False, True])
def test_a_third_protocol_is_spoken_through_litellm(
    server: Served, upstream: Recorder, stream: bool
) -> None:
    upstream.script([Reply(content="From a third kind.")])
    asked: Any = {"model": "azure", "max_tokens": 9, "messages": HELLO}
    with client_of(server) as client:
        if stream:
            with client.messages.stream(**asked) as events:
                said = events.get_final_text()
        else:
            said = client.messages.create(**asked).content[0].text
    assert said == "From a third kind."
    assert upstream.requests[0].path.endswith("/chat/completions")


@pytest.mark.parametrize("status", [400, 529])
def test_a_refusal_comes_back_as_it_is(server: Served, upstream: Recorder, status: int) -> None:
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "Later."}}
    upstream.script([Reply(status=status, body=body)] * 3)
    with client_of(server) as client, pytest.raises(anthropic.APIStatusError) as caught:
        ask(client)
    assert (caught.value.status_code, caught.value.body) == (status, body)


def test_our_own_errors_have_both_shapes(server: Served, upstream: Recorder) -> None:
    with client_of(server) as client, pytest.raises(anthropic.NotFoundError) as caught:
        ask(client, model="claude-none")
    body: Any = caught.value.body
    assert body["type"] == "error"
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert (body["error"]["type"], body["error"]["code"]) == ("not_found_error", "model_not_found")
    with client_of(server) as client, pytest.raises(anthropic.APIStatusError) as unreachable:
        ask(client, model="claude-nowhere")
    assert (unreachable.value.status_code, unreachable.value.type) == (502, "api_error")
    assert server.post(b"{", "/messages").json()["error"]["code"] == "invalid_json"
    assert httpx.get(f"{server.url}/messages", timeout=30).status_code == 405


def test_a_client_that_leaves_hangs_up_on_the_upstream(server: Served, upstream: Recorder) -> None:
    upstream.script([Reply(content="word " * 10_000, chunk_after=0.01)])
    with (
        client_of(server) as client,
        client.messages.stream(model="claude", max_tokens=9, messages=HELLO) as stream,
    ):
        next(iter(stream))
    assert upstream.requests[0].wait_disconnected()


@pytest.mark.parametrize("header", ["Authorization", "x-api-key"])
def test_a_tenants_key_is_taken_and_goes_no_further(
    shared: Served, upstream: Recorder, header: str
) -> None:
    key = KEYS["acme"]
    headers = {"Authorization": "", header: key if header == "x-api-key" else f"Bearer {key}"}
    with client_of(shared, default_headers=headers) as client:
        ask(client, [{"role": "user", "content": MEETING}])
    seen = upstream.requests[0]
    assert seen.header("x-api-key") == PROVIDER_KEY
    assert KEYS["acme"] not in str(seen.headers)
    assert seen.json["messages"][0]["content"].count("forklift") == MEETING.count("forklift")


def test_a_wrong_key_is_told(shared: Served) -> None:
    with client_of(shared, "nobodys") as client, pytest.raises(anthropic.AuthenticationError) as e:
        ask(client)
    assert e.value.type == "authentication_error"
    assert "nobodys" not in json.dumps(e.value.body)
