"""Chat completions through the real client: what a caller sees, and what reaches the model."""

from __future__ import annotations

import base64
import json
from collections import Counter
from typing import Any

import pydantic
import pytest

from tests.e2e.serving import Served
from tests.e2e.texts import MEETING
from tests.servers.recorder import Recorder, Reply

HELLO: list[Any] = [{"role": "user", "content": "Hello?"}]


def test_a_chat_is_answered(server: Served, upstream: Recorder) -> None:
    with server.client() as client:
        answer = client.chat.completions.create(model="m", messages=HELLO)
    assert answer.choices[0].message.content == "Hello from upstream."
    assert answer.usage is not None and answer.usage.total_tokens == 16
    seen = upstream.requests[0]
    assert (seen.method, seen.path) == ("POST", "/v1/chat/completions")
    assert seen.json == {"model": "real-model", "messages": HELLO}
    assert seen.header("authorization") == "Bearer sk-client"


async def test_the_asynchronous_client_is_answered(server: Served, upstream: Recorder) -> None:
    async with server.async_client() as client:
        answer = await client.chat.completions.create(model="m", messages=HELLO)
    assert answer.choices[0].message.content == "Hello from upstream."


def test_an_alias_without_v1_is_answered(server: Served, upstream: Recorder) -> None:
    with server.client().with_options(base_url=server.root) as client:
        client.chat.completions.create(model="m", messages=HELLO)
    assert upstream.requests[0].path == "/v1/chat/completions"


def test_a_short_request_goes_on_byte_for_byte(server: Served, upstream: Recorder) -> None:
    odd = (
        b'{ "messages" : [{"content":"caf\\u00e9 \\ud83d\\ude00 \xc3\xa9","role":"user", "x":[]}],'
        b'\n"model":\t"many/exact", "temperature":1.0e+00, "seed":12345678901234567890123, '
        b'"top_p":0.10, "big":1e400, "zero":-0.0,"logit_bias":{"50256":-100},"unknown":null }\n'
    )
    answer = server.post(odd)
    assert answer.status_code == 200
    assert upstream.requests[0].body == odd.replace(b"many/exact", b"exact")


def test_the_same_name_upstream_leaves_every_byte(server: Served, upstream: Recorder) -> None:
    body = b'{"model":"plain","messages":[{"role":"user","content":"Hi"}],  "n":1.0}'
    assert server.post(body).status_code == 200
    assert upstream.requests[0].body == body.replace(b'"plain"', b'"real-model"')


def test_a_long_document_is_compressed_around_bytes_that_stay(
    server: Served, upstream: Recorder
) -> None:
    text = json.dumps(MEETING)
    head = b'{"temperature":1.0E-0,"model":"m",  "messages":[{"role":"user","name":"Ann \\u0041",'
    tail = b',"extra":1.50}],"tools":[ ],"x":{"a":[1,2.0,3e0]}}'
    answer = server.post(head + b'"content":' + text.encode() + tail)
    assert answer.headers["x-precis-decision"] == "compressed"
    sent = upstream.requests[0].body
    assert sent.startswith(head.replace(b'"m"', b'"real-model"') + b'"content":')
    assert sent.endswith(tail)
    assert len(sent) < 0.8 * len(text)


def test_unknown_fields_and_extra_body_arrive(server: Served, upstream: Recorder) -> None:
    extra = {"provider": {"order": ["a", "b"]}, "top_k": 40}
    with server.client() as client:
        client.chat.completions.create(
            model="m", messages=HELLO, extra_body=extra, user="u-1", metadata={"k": "v"}
        )
    assert upstream.requests[0].json.items() >= {**extra, "user": "u-1"}.items()


def test_query_and_headers_of_the_client_arrive(server: Served, upstream: Recorder) -> None:
    with server.client() as client:
        client.chat.completions.create(
            model="m",
            messages=HELLO,
            extra_query={"api-version": "2024 x"},
            extra_headers={"OpenAI-Organization": "org-7", "X-Precis-Policy": "hard"},
        )
    seen = upstream.requests[0]
    assert seen.query == "api-version=2024+x"
    assert seen.header("openai-organization") == "org-7"
    assert not [name for name, _ in seen.headers if name.lower().startswith("x-precis")]


def test_the_entrys_key_and_defaults_are_used(server: Served, upstream: Recorder) -> None:
    with server.client() as client:
        client.chat.completions.create(model="keyed", messages=HELLO)
        client.chat.completions.create(model="keyed", messages=HELLO, temperature=1)
    first, second = upstream.requests
    assert first.header("authorization") == "Bearer sk-provider-of-acme-and-globex"
    assert (first.json["temperature"], second.json["temperature"]) == (0.25, 1)


WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": MEETING[:900],
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def test_tools_go_and_come_back(server: Served, upstream: Recorder) -> None:
    upstream.script([Reply(tool_calls=[{"name": "weather", "arguments": {"city": "Oslo"}}])])
    choice: Any = {"type": "function", "function": {"name": "weather"}}
    with server.client() as client:
        answer = client.chat.completions.create(
            model="m", messages=HELLO, tools=[WEATHER], tool_choice=choice
        )
    calls: Any = answer.choices[0].message.tool_calls
    assert calls[0].function.name == "weather"
    assert json.loads(calls[0].function.arguments) == {"city": "Oslo"}
    assert upstream.requests[0].json["tools"] == [WEATHER]
    assert upstream.requests[0].json["tool_choice"] == choice


def test_tool_calls_and_ids_stay_and_only_the_tools_text_shrinks(
    server: Served, upstream: Recorder
) -> None:
    call = {
        "id": "call_7",
        "type": "function",
        "function": {"name": "minutes", "arguments": json.dumps({"text": MEETING})},
    }
    messages: list[Any] = [
        {"role": "system", "content": MEETING},
        {"role": "user", "content": "What was decided?", "name": "ann"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_7", "content": MEETING},
    ]
    with server.client() as client:
        client.chat.completions.create(model="m", messages=messages, tools=[WEATHER])
    sent = upstream.requests[0].json["messages"]
    assert sent[:3] == messages[:3]
    assert sent[3] | {"content": MEETING} == messages[3]
    assert len(sent[3]["content"]) < 0.8 * len(MEETING)


class Event(pydantic.BaseModel):
    name: str
    people: list[str]
    day: int


def test_structured_output_is_parsed(server: Served, upstream: Recorder) -> None:
    with server.client() as client:
        answer = client.chat.completions.parse(
            model="m", messages=[{"role": "user", "content": MEETING}], response_format=Event
        )
    assert answer.choices[0].message.parsed == Event(name="text", people=["text"], day=1)
    wanted = upstream.requests[0].json["response_format"]
    assert wanted["json_schema"]["schema"]["title"] == "Event"


def test_json_mode_is_passed_on(server: Served, upstream: Recorder) -> None:
    with server.client() as client:
        answer = client.chat.completions.create(
            model="m", messages=HELLO, response_format={"type": "json_object"}
        )
    assert json.loads(answer.choices[0].message.content or "") == {"ok": True}


def test_images_audio_and_files_stay_and_text_parts_shrink(
    server: Served, upstream: Recorder
) -> None:
    noise = base64.b64encode(bytes(range(256)) * 40).decode()
    parts: list[Any] = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{noise}"}},
        {"type": "text", "text": MEETING, "cache_control": {"type": "ephemeral"}},
        {"type": "input_audio", "input_audio": {"data": noise, "format": "wav"}},
        {"type": "file", "file": {"file_id": "file-1", "filename": MEETING[:700]}},
        {"type": "text", "text": "Who was there?"},
    ]
    with server.client() as client:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": parts}])
    sent = upstream.requests[0].json["messages"][0]["content"]
    assert [sent[0], *sent[2:]] == [parts[0], *parts[2:]]
    assert sent[1] | {"text": MEETING} == parts[1]
    assert len(sent[1]["text"]) < 0.8 * len(MEETING)


@pytest.mark.parametrize("stream", [False, True])
def test_model_echo_answers_with_what_would_have_been_sent(server: Served, stream: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": "Just this, please."}]
    with server.client() as client:
        if stream:
            events = client.chat.completions.create(model="echo", messages=messages, stream=True)
            said = "".join(e.choices[0].delta.content or "" for e in events if e.choices)
        else:
            whole = client.chat.completions.create(model="echo", messages=messages)
            said = whole.choices[0].message.content or ""
    assert said == "Just this, please."


def test_another_protocol_is_spoken_through_litellm(server: Served, upstream: Recorder) -> None:
    upstream.script([Reply(content="From another kind.")])
    with server.client() as client:
        answer = client.chat.completions.create(model="claude", messages=HELLO)
    assert answer.choices[0].message.content == "From another kind."
    assert upstream.requests[0].path == "/v1/messages"


def test_entries_of_one_name_share_the_conversations(server: Served, upstream: Recorder) -> None:
    with server.client() as client:
        for number in range(40):
            client.chat.completions.create(
                model="pair", messages=[{"role": "user", "content": f"Hello {number}?"}]
            )
    models = Counter(seen.json["model"] for seen in upstream.requests)
    assert min(models["first"], models["second"]) >= 5  # which is whose is drawn by hashes
    for seen in upstream.requests:
        assert seen.header("authorization") == f"Bearer sk-{seen.json['model']}"


def test_a_conversation_stays_with_one_entry(server: Served, upstream: Recorder) -> None:
    talks: list[list[Any]] = [[{"role": "user", "content": f"Topic {i}?"}] for i in range(4)]
    with server.client() as client:
        for _ in range(3):
            for talk in talks:
                client.chat.completions.create(model="pair", messages=talk)
                talk += [{"role": "assistant", "content": "Yes."}, {"role": "user", "content": "?"}]
    served: dict[str, set[str]] = {}
    for seen in upstream.requests:
        served.setdefault(seen.json["messages"][0]["content"], set()).add(seen.json["model"])
    assert [len(models) for models in served.values()] == [1] * 4


def test_a_key_for_the_prompt_cache_tells_the_conversation(
    server: Served, upstream: Recorder
) -> None:
    with server.client() as client:
        for number in range(8):
            messages: list[Any] = [{"role": "user", "content": f"Hello {number}?"}]
            client.chat.completions.create(
                model="pair", messages=messages, prompt_cache_key="the same"
            )
    assert len({seen.json["model"] for seen in upstream.requests}) == 1
