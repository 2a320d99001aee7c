"""Responses through the real client: what goes in is compressed, what is stored is left alone."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pydantic
import pytest

from tests.e2e.conftest import KEYS
from tests.e2e.serving import Served, until
from tests.e2e.texts import MEETING, QUESTION, REPORT
from tests.servers.recorder import Recorder, Reply

TOOL: Any = {
    "type": "function",
    "name": "weather",
    "description": MEETING,
    "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
    "strict": True,
}


def test_an_input_reaches_the_model_shorter(server: Served, upstream: Recorder) -> None:
    with server.client() as client:
        raw = client.responses.with_raw_response.create(model="m", input=REPORT, store=False)
    assert raw.parse().output_text == "Hello from upstream."
    seen = upstream.requests[0]
    assert (seen.path, seen.json["model"], seen.json["store"]) == (
        "/v1/responses",
        "real-model",
        False,
    )
    assert QUESTION in seen.json["input"] and len(seen.json["input"]) < 0.75 * len(REPORT)
    assert raw.headers["x-precis-decision"] == "compressed"
    number = raw.headers["x-precis-request-id"]
    with server.client() as client:
        receipt: Any = client.get(f"/receipts/{number}", cast_to=object)
    assert (receipt["decision"], receipt["stable"]) == ("compressed", True)


def test_items_keep_all_but_the_words_of_long_texts(server: Served, upstream: Recorder) -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"}
    items: list[Any] = [
        {"role": "user", "content": [{"type": "input_text", "text": MEETING}, image]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": MEETING},
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "weather",
            "arguments": json.dumps({"text": MEETING}),
        },
        {"type": "function_call_output", "call_id": "call_1", "output": MEETING},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": MEETING, "annotations": []}],
        },
        {"role": "user", "content": "And then?"},
    ]
    with server.client() as client:
        client.responses.create(model="m", instructions=MEETING, input=items, tools=[TOOL])
    sent = upstream.requests[0].json
    assert (sent["instructions"], sent["tools"]) == (MEETING, [TOOL])
    first, reasoning, call, output, said, last = sent["input"]
    assert [reasoning, call, said, last] == [items[1], items[2], items[4], items[5]]
    short = first["content"][0].pop("text")
    assert first == {"role": "user", "content": [{"type": "input_text"}, image]}
    assert len(short) < 0.8 * len(MEETING)
    assert output | {"output": MEETING} == items[3]
    assert len(output["output"]) < 0.8 * len(MEETING)


def test_a_short_request_goes_on_byte_for_byte(server: Served, upstream: Recorder) -> None:
    body = b'{ "input" : "caf\\u00e9 \\ud83d", "model":"many/exact", "x":1.0e+00 }\n'
    assert server.post(body, "/responses?a=%20b&c").status_code == 200
    seen = upstream.requests[0]
    assert (seen.body, seen.query) == (body.replace(b"many/exact", b"exact"), "a=%20b&c")


def test_a_stream_is_relayed_event_by_event(server: Served, upstream: Recorder) -> None:
    upstream.script([Reply(content="Four words, no more.")])
    with server.client() as client, client.responses.stream(model="m", input=MEETING) as stream:
        said = "".join(e.delta for e in stream if e.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert said == final.output_text == "Four words, no more."
    assert len(upstream.requests[0].json["input"]) < 0.8 * len(MEETING)


def test_a_stream_is_not_looked_into(server: Served, upstream: Recorder) -> None:
    odd = [b"event: x\ndata: {", b'"a"', b": \xe2", b"\x82\xac}\r\n\r\n", b": ping\n\n"]
    upstream.script([Reply(chunks=odd, headers={"content-type": "text/event-stream"})])
    answer = server.post({"model": "m", "input": "x", "stream": True}, "/responses")
    assert answer.content == b"".join(odd)


@pytest.mark.parametrize("stream", [False, True])
def test_tools_are_called(server: Served, upstream: Recorder, stream: bool) -> None:
    upstream.script([Reply(tool_calls=[{"name": "weather", "arguments": {"city": "Oslo"}}])])
    with server.client() as client:
        if stream:
            with client.responses.stream(model="m", input="x", tools=[TOOL]) as events:
                answer: Any = events.get_final_response()
        else:
            answer = client.responses.create(model="m", input="x", tools=[TOOL])
    assert json.loads(answer.output[0].arguments) == {"city": "Oslo"}


class Event(pydantic.BaseModel):
    name: str


def test_structured_output_is_parsed(server: Served, upstream: Recorder) -> None:
    upstream.script([Reply(content='{"name": "fair"}')])
    with server.client() as client:
        answer = client.responses.parse(model="m", input=MEETING, text_format=Event)
    assert answer.output_parsed == Event(name="fair")
    assert upstream.requests[0].json["text"]["format"]["type"] == "json_schema"


@pytest.mark.parametrize("stream", [False, True])
def test_echo_answers_with_what_would_have_been_sent(server: Served, stream: bool) -> None:
    asked: dict[str, Any] = {"model": "echo", "input": "Just this?", "instructions": "Be kind."}
    with server.client() as client:
        if stream:
            with client.responses.stream(**asked) as events:
                said = events.get_final_response().output_text
        else:
            said = client.responses.create(**asked).output_text
    assert said == "Be kind.\n\nJust this?"


@pytest.mark.parametrize("stream", [False, True])
def test_another_protocol_is_spoken_through_litellm(
    server: Served, upstream: Recorder, stream: bool
) -> None:
    upstream.script([Reply(content="From another kind.")])
    with server.client() as client:
        if stream:
            with client.responses.stream(model="claude", input=MEETING) as events:
                said = events.get_final_response().output_text
        else:
            said = client.responses.create(model="claude", input=MEETING).output_text
    assert said == "From another kind."
    seen = upstream.requests[0]
    assert seen.path == "/v1/messages"
    assert 9 < len(seen.json["messages"][0]["content"][0]["text"]) < 0.8 * len(MEETING)


@pytest.mark.parametrize(
    "asked,param",
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"background": True}, "background"),
        ({"tools": [{"type": "mcp", "server_label": "x", "server_url": "http://x"}]}, "tools"),
    ],
)
def test_what_litellm_can_not_take_is_told(
    server: Served, upstream: Recorder, asked: Any, param: str
) -> None:
    with server.client() as client, pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="claude", input="x", **asked)
    assert caught.value.param == param
    assert not upstream.requests


def test_a_refusal_comes_back_as_it_is(server: Served, upstream: Recorder) -> None:
    upstream.script([Reply(status=400)])
    with server.client() as client, pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="m", input=MEETING)
    assert caught.value.code == "scripted_400"


def test_a_client_that_leaves_hangs_up_on_the_upstream(server: Served, upstream: Recorder) -> None:
    upstream.script([Reply(content="word " * 10_000, chunk_after=0.01)])
    with server.client() as client:
        stream = client.responses.create(model="m", input="x", stream=True)
        next(iter(stream))
        stream.close()
    assert upstream.requests[0].wait_disconnected()


@pytest.mark.parametrize("model", ["m", "claude"])
def test_a_client_that_stops_waiting_hangs_up_on_the_upstream(
    server: Served, upstream: Recorder, model: str
) -> None:
    upstream.script([Reply(content="word " * 10_000, chunk_after=0.05)])
    asked = {"model": model, "input": "x", "stream": True}
    with httpx.stream("POST", f"{server.url}/responses", json=asked, timeout=60) as answer:
        next(answer.iter_raw())
    assert until(lambda: upstream.requests[0].disconnected, 20)


def test_what_is_stored_passes_through_untouched(server: Served, upstream: Recorder) -> None:
    with server.client() as client:
        assert client.responses.retrieve("resp_1").object == "recorded"
        client.responses.delete("resp_1")
        client.responses.cancel("resp_1")
        upstream.script([Reply(body={"object": "list", "data": [], "has_more": False})])
        assert not client.responses.input_items.list("resp_1").data
    assert [(seen.method, seen.path) for seen in upstream.requests] == [
        ("GET", "/v1/responses/resp_1"),
        ("DELETE", "/v1/responses/resp_1"),
        ("POST", "/v1/responses/resp_1/cancel"),
        ("GET", "/v1/responses/resp_1/input_items"),
    ]


def test_shadow_sends_the_original(shared: Served, upstream: Recorder) -> None:
    with shared.client(KEYS["quiet"]) as client:
        raw = client.responses.with_raw_response.create(model="m", input=MEETING)
    assert raw.headers["x-precis-decision"] == "shadow"
    assert upstream.requests[0].json["input"] == MEETING


def test_a_list_of_models_holds_here_too(shared: Served, upstream: Recorder) -> None:
    with shared.client(KEYS["globex"]) as client, pytest.raises(openai.PermissionDeniedError):
        client.responses.create(model="other", input="x")
    assert not upstream.requests
