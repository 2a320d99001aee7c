"""The other shapes of requests: which of their strings are texts, and whose words they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import BadRequest
from proxy.messages.anthropic import parse_messages
from proxy.messages.any_shape import parse_any
from proxy.messages.body import SYSTEM, Chat
from proxy.messages.completion import parse_completion
from proxy.messages.responses import parse_responses

Parse = Callable[[bytes], Chat]
CACHED = {"cache_control": {"type": "ephemeral"}}


def found(parse: Parse, **fields: Any) -> dict[tuple[int, int | None], tuple[str, str]]:
    """The texts by their keys, each with whose words it is."""
    chat = parse(json.dumps({"model": "m", **fields}).encode())
    texts = {(m.index, t.part): (m.role, t.value) for m in chat.messages for t in m.texts}
    assert texts.keys() == chat.texts.keys()
    return texts


@pytest.mark.parametrize(
    "prompt,texts",
    [
        ("a", {(0, None): ("user", "a")}),
        (["a", "b"], {(0, None): ("user", "a"), (1, None): ("user", "b")}),
        ([1, 2, 3], {}),
        ([[1, 2], [3]], {}),
        (["a", [3]], {(0, None): ("user", "a")}),
        ([], {}),
        (None, {}),
    ],
)
def test_prompts_are_texts_and_token_ids_are_not(prompt: Any, texts: Any) -> None:
    assert found(parse_completion, prompt=prompt) == texts


def test_a_completion_without_a_prompt_is_none_of_our_business() -> None:
    assert found(parse_completion) == {}


def test_an_input_that_is_a_string_is_the_users() -> None:
    assert found(parse_responses, instructions="i", input="a") == {
        (SYSTEM, None): ("system", "i"),
        (0, None): ("user", "a"),
    }


def test_of_items_only_messages_and_outputs_are_read() -> None:
    image = {"type": "input_image", "image_url": "data:a"}
    items = [
        {"role": "developer", "content": "d"},
        {
            "type": "message",
            "role": "user",
            "content": [image, {"type": "input_text", "text": "u"}],
        },
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "r"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "o"},
        {
            "type": "custom_tool_call_output",
            "call_id": "c",
            "output": [{"type": "input_text", "text": "p"}, image],
        },
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "x", "annotations": []}],
        },
        {"type": "item_reference", "id": "msg_2"},
    ]
    assert found(parse_responses, input=items) == {
        (0, None): ("developer", "d"),
        (1, 1): ("user", "u"),
        (4, None): ("tool", "o"),
        (5, 0): ("tool", "p"),
    }


@pytest.mark.parametrize("fields", [{}, {"input": None}, {"prompt": {"id": "pmpt_1"}}])
def test_a_response_may_have_no_input(fields: Any) -> None:
    assert found(parse_responses, **fields) == {}


BLOCKS = [
    {"type": "text", "text": "before", **CACHED},
    {"type": "image", "source": {"type": "base64", "data": "AA=="}},
    {"type": "tool_result", "tool_use_id": "a", "content": "plain"},
    {"type": "tool_result", "tool_use_id": "b"},
    {
        "type": "tool_result",
        "tool_use_id": "c",
        "content": [
            {"type": "text", "text": "first", **CACHED},
            {"type": "image", "source": {"type": "url", "url": "u"}},
            {"type": "text", "text": "third"},
        ],
    },
    {"type": "text", "text": "after"},
]


def test_blocks_are_texts_of_whoever_said_them() -> None:
    said = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "a", "name": "f", "input": {"text": "no text"}},
    ]
    messages = [
        {"role": "user", "content": "ask"},
        {"role": "assistant", "content": said},
        {"role": "user", "content": BLOCKS},
    ]
    assert found(parse_messages, system="s", messages=messages) == {
        (SYSTEM, None): ("system", "s"),
        (0, None): ("user", "ask"),
        (1, 1): ("assistant", "I look."),
        (2, 0): ("user", "before"),
        (2, 2): ("tool", "plain"),
        (2, 5): ("tool", "first"),
        (2, 7): ("tool", "third"),
        (2, 8): ("user", "after"),
    }


def test_a_system_prompt_of_blocks_is_read() -> None:
    blocks = [{"type": "text", "text": "s"}, {"type": "text", "text": "t", **CACHED}]
    texts = found(parse_messages, system=blocks, messages=[{"role": "user", "content": "u"}])
    assert list(texts) == [(SYSTEM, 0), (SYSTEM, 1), (0, None)]


def test_a_gateways_messages_are_read_in_any_shape() -> None:
    messages = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "u"}]},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "tool_call_id": "c", "content": "t"},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "r"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "i"}]},
        {"type": "function_call_output", "call_id": "c", "output": "o"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
    ]
    texts = found(parse_any, messages=messages)
    assert [f"{role} {text}" for role, text in texts.values()] == [
        "system s",
        "user u",
        "tool t",
        "tool r",
        "user i",
        "tool o",
    ]


@pytest.mark.parametrize(
    "body", [b'{"messages":[{"role":"user"}]}', b'{"model":null,"messages":[{"role":"user"}]}']
)
def test_a_gateway_may_leave_the_model_out(body: bytes) -> None:
    assert parse_any(body).model == ""


DEEP = "[" * 200 + "]" * 200


@pytest.mark.parametrize(
    "parse,body,param",
    [
        (parse_completion, '{"prompt":"x"}', "model"),
        (parse_completion, f'{{"model":"m","prompt":{DEEP}}}', "prompt"),
        (parse_responses, '{"model":"m","input":7}', "input"),
        (parse_responses, '{"model":"m","input":["x"]}', "input.0"),
        (parse_responses, '{"model":"m","input":[{"role":"user","content":7}]}', "input.0.content"),
        (parse_responses, '{"model":"m","input":[{"role":7}]}', "input.0.role"),
        (
            parse_responses,
            '{"model":"m","input":[{"type":"function_call_output","output":[{}]}]}',
            "input.0.output.0.type",
        ),
        (parse_responses, f'{{"model":"m","input":[{{"type":"x","y":{DEEP}}}]}}', "input.0.y"),
        (parse_messages, '{"model":"m"}', "messages"),
        (parse_messages, '{"model":"m","system":7,"messages":[{"role":"user"}]}', "system"),
        (
            parse_messages,
            '{"model":"m","messages":[{"role":"user","content":[{"type":"text"}]}]}',
            "messages.0.content.0.text",
        ),
        (
            parse_messages,
            '{"model":"m","messages":[{"role":"user","content":'
            '[{"type":"tool_result","content":[7]}]}]}',
            "messages.0.content.0.content.0",
        ),
        (parse_any, '{"model":7,"messages":[{"role":"user"}]}', "model"),
        (parse_any, '{"messages":[{}]}', "messages.0.role"),
    ],
)
def test_a_wrong_field_is_named(parse: Parse, body: str, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse(body.encode())
    assert caught.value.param == param


texts = st.text(st.characters(), max_size=20)
text_blocks = st.builds(lambda t: {"type": "text", "text": t, **CACHED}, texts)
results = st.builds(
    lambda c: {"type": "tool_result", "tool_use_id": "t", "content": c},
    texts | st.lists(text_blocks, max_size=3),
)
blocks = st.lists(text_blocks | results | st.just({"type": "image", "source": {}}), max_size=4)
messages = st.lists(
    st.builds(lambda c: {"role": "user", "content": c}, texts | blocks), min_size=1, max_size=3
)


def upper(value: Any) -> Any:
    """The value with every text in capitals, by the slow and obvious way."""
    if isinstance(value, list):
        return [upper(v) for v in value]
    changed = dict(value)
    for name in ("content", "text"):
        old = value.get(name)
        if isinstance(old, str):
            changed[name] = old.upper()
        elif old is not None:
            changed[name] = upper(old)
    return changed


@pytest.mark.parametrize("parse", [parse_messages, parse_any])
@given(messages)
def test_every_text_and_nothing_else_can_be_replaced(parse: Parse, asked: Any) -> None:
    body = json.dumps({"messages": asked, "model": "m"}).encode()
    chat = parse(body)
    assert chat.render({}) is body
    out = chat.render({key: text.value.upper() for key, text in chat.texts.items()})
    assert json.loads(out) == {"messages": upper(asked), "model": "m"}
