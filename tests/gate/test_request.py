"""Between the texts nothing may change: calls, results, ids, order, numbers, white space."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config_policy import Policy
from proxy.gate import verify_request
from proxy.messages.anthropic import parse_messages
from proxy.messages.body import Chat, parse
from proxy.messages.segment import segment
from proxy.tokens import encoding
from proxy.types import Compressed, Passage

POLICY = Policy(question="none", protect=(), min_saving=0)
STORY = "it was a long and rather quiet evening in the harbour " * 3
CALLS = [
    {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"n": 1.50}'}},
    {"id": "c2", "type": "function", "function": {"name": "ask", "arguments": "{}"}},
]
OPENAI = {
    "model": "m",
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": STORY, "cache_control": {"a": 1}}]},
        {"role": "assistant", "content": None, "tool_calls": CALLS},
        {"role": "tool", "tool_call_id": "c1", "content": STORY + '"\\ \ud800 é'},
        {"role": "tool", "tool_call_id": "c2", "content": "short " + STORY},
    ],
    "temperature": 1.50,
    "tools": [{"type": "function", "function": {"name": "look"}}],
}
ANTHROPIC = {
    "model": "m",
    "max_tokens": 9,
    "messages": [
        {"role": "user", "content": STORY},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t", "content": STORY + "é"}],
        },
    ],
}
SHAPES: list[tuple[Callable[[bytes], Chat], dict[str, Any]]] = [
    (parse, OPENAI),
    (parse_messages, ANTHROPIC),
]


def shortened(passage: Passage) -> Compressed:
    """The text without its third word, honestly counted."""
    text, count = passage.text, encoding().count
    if passage.reason or "long " not in text:
        tokens = count(text)
        return Compressed(text, ((0, len(text)),), tokens, tokens, passage.reason or "short")
    at = text.index("long ")
    rest = text[:at] + text[at + 5 :]
    return Compressed(rest, ((0, at), (at + 5, len(text))), count(text), count(rest), "")


def verified(chat: Chat, passages: tuple[Passage, ...]) -> tuple[Compressed, ...]:
    return verify_request(chat, passages, [shortened(p) for p in passages], POLICY, encoding())


@dataclass(frozen=True)
class Broken(Chat):
    """A chat that writes its body with a fault."""

    fault: Callable[[bytes], bytes] = bytes

    def render(self, texts: Mapping[Any, str], **how: Any) -> bytes:
        return self.fault(super().render(texts, **how))


def broken(chat: Chat, fault: Callable[[bytes], bytes]) -> Broken:
    return Broken(chat.model, chat.stream, chat.messages, chat.fields, chat.source, fault)


@pytest.mark.parametrize("read,body", SHAPES, ids=["openai", "anthropic"])
def test_an_honest_request_passes(read: Callable[[bytes], Chat], body: dict[str, Any]) -> None:
    chat = read(json.dumps(body, indent=1).encode())
    passages = segment(chat, POLICY)
    results = verified(chat, passages)
    assert "" in {result.reason for result in results}
    sent = json.loads(
        chat.render({(p.message, p.part): r.text for p, r in zip(passages, results, strict=True)})
    )
    assert [m["role"] for m in sent["messages"]] == [m["role"] for m in body["messages"]]
    assert "tool_calls" not in body["messages"][1] or sent["messages"][1] == body["messages"][1]


@pytest.mark.parametrize(
    "old,new",
    [
        (b'"c1"', b'"c2"'),
        (b'"look"', b'"book"'),
        (b"1.50", b"1.5"),
        (b'"tool_call_id"', b'"call"'),
        (b'{"a": 1}', b"{}"),
        (b'"assistant"', b'"user"'),
        (b"quiet", b"loud"),
        (b'evening in"', b'evening"'),
        (b", ", b","),
        (b"]}", b"]"),
        (b'{"model"', b'{"seed": 1, "model"'),
    ],
)
def test_any_other_difference_puts_every_text_back(old: bytes, new: bytes) -> None:
    chat = parse(json.dumps(OPENAI).encode())
    results = verified(broken(chat, lambda body: body.replace(old, new, 1)), segment(chat, POLICY))
    same = old not in chat.render({})
    assert {r.reason for r in results} & {"gate: request", ""} == (
        {""} if same else {"gate: request"}
    )


@given(st.data())
def test_no_damage_to_the_bytes_goes_unseen(data: st.DataObject) -> None:
    read, body = data.draw(st.sampled_from(SHAPES))
    chat = read(json.dumps(body).encode())
    passages = segment(chat, POLICY)
    good = verified(chat, passages)
    texts = {(p.message, p.part): r.text for p, r in zip(passages, good, strict=True)}
    whole = chat.render(texts)
    start = data.draw(st.integers(0, len(whole) - 1))
    end = data.draw(st.integers(start, min(len(whole), start + 40)))
    put = data.draw(st.sampled_from([b"", b'"', b"x", b"{}", whole[end : end + 9]]))
    damaged = whole[:start] + put + whole[end:]
    results = verified(broken(chat, lambda _: damaged), passages)
    if damaged != whole:
        assert all(r.reason for r in results)
        assert [r.text for r in results] == [p.text for p in passages]


def test_a_text_that_is_not_where_it_was_read_is_seen() -> None:
    chat = parse(json.dumps(OPENAI).encode())
    first, *others = segment(chat, POLICY)
    elsewhere = replace(first, message=3, part=None)
    results = verified(chat, (elsewhere, *others[:-1]))
    assert results[0].reason == "gate: request"
