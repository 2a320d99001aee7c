"""Where a conversation falls: the same at every turn, and evenly over [0, 1)."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy.messages.body import Chat, parse
from proxy.messages.opening import opening

content = st.text(max_size=20) | st.lists(
    st.text(max_size=9).map(lambda text: {"type": "text", "text": text}), max_size=3
)
message = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"]), "content": content}
)


def chat(*messages: dict[str, Any]) -> Chat:
    return parse(json.dumps({"model": "m", "messages": messages}).encode())


@given(st.lists(message, max_size=3), st.lists(message, max_size=4))
def test_later_turns_do_not_move_it(before: list[Any], later: list[Any]) -> None:
    start = [*before, {"role": "user", "content": "Why?"}]
    assert opening(chat(*start)) == opening(chat(*start, *later))


@given(message, st.lists(message, max_size=4))
def test_without_a_user_the_first_message_decides(first: Any, later: list[Any]) -> None:
    quiet = [m for m in (first, *later) if m["role"] != "user"]
    if quiet:
        assert opening(chat(quiet[0])) == opening(chat(*quiet))


def test_it_hangs_on_every_message_up_to_the_first_users() -> None:
    one, other = {"role": "system", "content": "A"}, {"role": "system", "content": "B"}
    ask, tell = {"role": "user", "content": "Why?"}, {"role": "user", "content": "So."}
    places = [opening(chat(*m)) for m in ((one, ask), (other, ask), (one, tell), (ask,), (one,))]
    assert len(set(places)) == 5


def test_how_json_is_written_does_not_matter() -> None:
    plain = parse(b'{"model":"m","messages":[{"role":"user","content":"\xc3\xa9"}]}')
    escaped = parse(b'{"messages": [{"content": "\\u00e9", "role": "user"}], "model": "x"}')
    assert opening(plain) == opening(escaped)


def test_the_number_is_the_same_for_ever() -> None:
    """On every worker and in every release: a changed hash would flip conversations."""
    assert f"{opening(chat({'role': 'user', 'content': 'Hello?'})):.6f}" == "0.500495"


def test_conversations_spread_evenly() -> None:
    places = [opening(chat({"role": "user", "content": f"Question {i}?"})) for i in range(4000)]
    shares = [sum(low <= place < low + 0.1 for place in places) / 4000 for low in (0, 0.3, 0.9)]
    assert all(0.08 < share < 0.12 for share in shares)
