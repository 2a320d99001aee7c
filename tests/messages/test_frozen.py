"""What is frozen stays frozen: markers may stay or move forward, in either shape of request."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config_policy import Policy
from proxy.messages.anthropic import parse_messages
from proxy.messages.body import Chat, parse
from proxy.messages.frozen import frozen
from proxy.messages.segment import segment

MARK = {"cache_control": {"type": "ephemeral"}}
FREEZE = Policy(cache_control="freeze")
Message = dict[str, Any]


def part(text: str, *, marked: bool = False) -> dict[str, Any]:
    return {"type": "text", "text": text, **(MARK if marked else {})}


def chat(*messages: Message, **fields: Any) -> Chat:
    return parse(json.dumps({"model": "m", "messages": list(messages), **fields}).encode())


SYSTEM = {"role": "system", "content": "You help."}
MARKED_SYSTEM = {"role": "system", "content": [part("You help.", marked=True)]}
DOCUMENT = {"role": "user", "content": [part("A document.", marked=True), part("What?")]}
USER = {"role": "user", "content": [part("And then?")]}
MARKED_USER = {"role": "user", "content": [part("And then?", marked=True)]}
ANSWER = {"role": "assistant", "content": "This."}
TOOL = {"role": "tool", "tool_call_id": "c", "content": "Result.", **MARK}


@pytest.mark.parametrize(
    "messages,count",
    [
        ([SYSTEM, USER, ANSWER, USER], 0),
        ([MARKED_SYSTEM, USER, ANSWER, USER], 1),
        ([SYSTEM, DOCUMENT, ANSWER, USER], 2),
        ([DOCUMENT, ANSWER, USER], 1),
        ([MARKED_SYSTEM, DOCUMENT, ANSWER, MARKED_USER], 4),
        ([MARKED_SYSTEM, USER, ANSWER, MARKED_USER, ANSWER, USER], 6),
        ([SYSTEM, ANSWER, MARKED_USER, ANSWER], 4),
        ([SYSTEM, USER, ANSWER, TOOL], 4),
        ([MARKED_SYSTEM], 1),
        ([{"role": "user", "content": "text of cache_control", "cache_control": None}, ANSWER], 0),
    ],
)
def test_the_opening_is_frozen_up_to_its_marker_or_all_of_the_request(
    messages: list[Message], count: int
) -> None:
    assert frozen(chat(*messages)) == count


def test_a_marker_for_the_whole_request_freezes_it() -> None:
    assert frozen(chat(SYSTEM, USER, ANSWER, **MARK)) == 3
    assert frozen(chat(SYSTEM, USER, ANSWER, cache_control=None)) == 0


def test_anthropics_shape_has_its_markers_in_other_places() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": [part("So.", marked=True)]}
    call = {"type": "tool_use", "id": "t", "name": "f", "input": MARK}  # no marker, but an argument

    def count(system: Any, *messages: Message) -> int:
        body = {"model": "m", "max_tokens": 1, "system": system, "messages": messages}
        return frozen(parse_messages(json.dumps(body).encode()))

    ask, say = {"role": "user", "content": "Why?"}, {"role": "assistant", "content": [call]}
    assert count([part("You help.", marked=True)], ask, say) == 1
    assert count("You help.", ask, say) == 0
    assert count("You help.", ask, say, {"role": "user", "content": [result]}) >= 4


def test_frozen_texts_say_so_and_a_policy_has_to_ask() -> None:
    request = chat(MARKED_SYSTEM, DOCUMENT, ANSWER, USER)
    assert [p.reason for p in segment(request, FREEZE)][:3] == ["cache_control"] * 3
    assert "cache_control" not in {p.reason for p in segment(request, Policy())}


@given(st.data())
@settings(max_examples=60)
def test_no_client_that_moves_its_markers_forward_gets_another_prefix(data: st.DataObject) -> None:
    """Markers on the opening, or on the newest message with the older ones left or taken away."""
    moves = data.draw(st.booleans())
    leaves = data.draw(st.integers(0, 3))
    roles = data.draw(st.lists(st.sampled_from(["assistant", "tool", "user"]), max_size=8))
    conversation = [("system", "S"), ("user", "U"), *((r, f"{r} {i}") for i, r in enumerate(roles))]
    ends = [i + 1 for i, (role, _) in enumerate(conversation) if role == "user"]
    sent: list[list[bool]] = []
    for end in ends:
        users = [i for i in range(end) if conversation[i][0] == "user"]
        marked = set(users[-1 - leaves :]) if moves else {0, 1}
        messages = [
            {"role": role, "content": [part(text, marked=i in marked)]}
            for i, (role, text) in enumerate(conversation[:end])
        ]
        passages = segment(chat(*messages), FREEZE)
        sent.append([found.reason == "cache_control" for found in passages])
    for shorter, longer in pairwise(sent):
        assert longer[: len(shorter)] == shorter
