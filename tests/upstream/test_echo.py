from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from proxy.errors import BadRequest
from proxy.tokens import encoding
from proxy.upstream import Call
from tests.upstream.calls import chat, entry, get, pool


async def echo(call: Call) -> bytes:
    async with pool(entry("echo", "echo")) as models:
        answer = await models.send(call)
        assert answer.status == 200
        return await answer.read()


async def completion(messages: list[dict[str, Any]], **fields: Any) -> ChatCompletion:
    raw = await echo(chat("echo", messages=messages, **fields))
    return ChatCompletion.model_validate_json(raw, strict=True)


async def test_one_message_comes_back_as_its_text() -> None:
    text = "Line one.\n\n\tLine two: caf\xe9 \U0001f600 <|endoftext|> "
    answer = await completion([{"role": "user", "content": text}])
    assert answer.choices[0].message.content == text
    assert answer.choices[0].finish_reason == "stop"


async def test_several_texts_are_joined_by_empty_lines_and_other_parts_left_out() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    parts = [{"type": "text", "text": "two"}, image, {"type": "text", "text": "three"}]
    answer = await completion(
        [
            {"role": "system", "content": "one"},
            {"role": "user", "content": parts},
            {"role": "assistant", "content": None, "tool_calls": []},
        ]
    )
    assert answer.choices[0].message.content == "one\n\ntwo\n\nthree"


async def test_usage_counts_the_text() -> None:
    text = "How many tokens are these?"
    usage = (await completion([{"role": "user", "content": text}])).usage
    assert usage is not None
    assert usage.prompt_tokens == encoding("cl100k_base").count(text)
    assert usage.total_tokens == 2 * usage.prompt_tokens


async def test_the_whole_body_is_in_an_extra_field() -> None:
    call = chat("echo", temperature=0.3, tools=[])
    assert json.loads(await echo(call))["echo"] == json.loads(call.body)


async def test_lone_surrogates_come_through() -> None:
    raw = await echo(chat("echo", messages=[{"role": "user", "content": "a\ud800b"}]))
    assert json.loads(raw)["choices"][0]["message"]["content"] == "a\ud800b"


@pytest.mark.parametrize("text", ["", "short", "word " * 10_000])
@pytest.mark.parametrize("usage", [False, True])
async def test_a_stream_says_the_same_in_pieces(text: str, usage: bool) -> None:
    options = {"stream_options": {"include_usage": usage}}
    messages = [{"role": "user", "content": text}]
    raw = await echo(chat("echo", stream=True, messages=messages, **options))
    *events, done, end = raw.split(b"\n\n")
    assert (done, end) == (b"data: [DONE]", b"")
    chunks = [
        ChatCompletionChunk.model_validate_json(event.removeprefix(b"data: "), strict=True)
        for event in events
    ]
    with_choice = [chunk for chunk in chunks if chunk.choices]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in with_choice) == text
    assert with_choice[0].choices[0].delta.role == "assistant"
    assert with_choice[-1].choices[0].finish_reason == "stop"
    assert with_choice[-1].model_extra == {"echo": json.loads(chat_body(messages, options))}
    assert [chunk.usage is not None for chunk in chunks[-1:]] == [usage]
    assert len({chunk.id for chunk in chunks}) == 1


def chat_body(messages: list[dict[str, Any]], options: dict[str, Any]) -> bytes:
    return chat("echo", stream=True, messages=messages, **options).body


async def test_a_stream_of_a_long_text_has_no_endless_number_of_chunks() -> None:
    messages = [{"role": "user", "content": "word " * 100_000}]
    raw = await echo(chat("echo", stream=True, messages=messages))
    assert raw.count(b"\n\n") < 120


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"messages": 1}', b'{"messages": ["x"]}'])
async def test_what_is_no_chat_completion_is_refused_without_quoting_it(body: bytes) -> None:
    call = Call("POST", "/chat/completions", "", (), body, "echo", False)
    with pytest.raises(BadRequest, match="no such request"):
        await echo(call)


async def test_other_paths_are_refused() -> None:
    with pytest.raises(BadRequest, match=r"answers /v1/chat/completions, .*/v1/messages"):
        await echo(get("/embeddings", "echo", method="POST", body=b"{}"))
