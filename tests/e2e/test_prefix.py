"""A conversation's prefix reaches the upstream as the same bytes: whoever serves it, and when.

Turns go to two servers in turn, to one that was started anew, in order and out of order, alone and
under load; what the upstream recorded is compared byte by byte. With ``PRECIS_DATA`` real dialogues
take part.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import entry
from tests.e2e.dialogues import conversations
from tests.e2e.serving import Served, serving
from tests.servers.recorder import Recorder

Message = dict[str, Any]
CONVERSATIONS = conversations(seeds=4, real=3)


def config(recorder: Recorder, **compressor: Any) -> dict[str, Any]:
    default = {"rate": 0.5, "min_tokens": 100, "deadline_ms": 600_000}
    return {
        "compressor": {"threads": 1, **compressor},
        "model_list": [entry(name, recorder.url) for name in ("m", "frozen")],
        "policies": {
            "default": default,
            "frozen": {"extends": "default", "cache_control": "freeze"},
        },
        "routes": [
            {"match": {"model": "frozen"}, "policy": "frozen"},
            {"match": {"model": "m"}, "policy": "default"},
        ],
    }


@pytest.fixture(scope="module")
def second(recorder: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Another worker: its own process, nothing in its caches."""
    with serving(config(recorder), tmp_path_factory.mktemp("second")) as served:
        yield served


def ends(messages: list[Message]) -> list[int]:
    """Where a client sends the conversation: after each message of a user or a tool."""
    return [i + 1 for i, message in enumerate(messages) if message["role"] in ("user", "tool")]


def send(server: Served, messages: list[Message], model: str = "m") -> str:
    """Sends one turn; what was decided."""
    answer = server.post({"model": model, "messages": messages})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-precis-decision"] in ("compressed", "unchanged")
    return answer.headers["x-precis-decision"]


def recorded(recorder: Recorder) -> dict[int, set[bytes]]:
    """The bodies that came in, without their end, by how many messages they have."""
    found: dict[int, set[bytes]] = {}
    for request in recorder.requests:
        count = len(request.json["messages"])
        found.setdefault(count, set()).add(request.body.removesuffix(b"]}"))
    return found


def assert_stable(recorder: Recorder, wanted: list[int]) -> None:
    """Each prefix always came as the same bytes, and is a prefix of every longer one."""
    bodies = recorded(recorder)
    assert sorted(bodies) == sorted(set(wanted))
    assert all(len(versions) == 1 for versions in bodies.values())
    ordered = [next(iter(bodies[count])) for count in sorted(bodies)]
    for shorter, longer in pairwise(ordered):
        assert longer.startswith(shorter)


@pytest.mark.parametrize("number", range(len(CONVERSATIONS)))
def test_every_turn_has_the_turn_before_as_its_prefix(
    upstream: Recorder, server: Served, second: Served, number: int
) -> None:
    messages = CONVERSATIONS[number]
    decided = set()
    for turn, end in enumerate(ends(messages)):
        # Both have seen other turns, so their caches differ.
        decided.add(send((server, second)[turn % 2], messages[:end]))
    send(server, messages)
    send(second, messages)
    assert_stable(upstream, [*ends(messages), len(messages)])
    if number < 4:
        assert "compressed" in decided


def test_turns_out_of_order_and_under_load_are_the_same_bytes(
    upstream: Recorder, server: Served, second: Served
) -> None:
    messages = CONVERSATIONS[0]
    turns = [(end, who) for end in ends(messages) for who in (server, second)]
    random.Random(1).shuffle(turns)
    noise = [{"role": "user", "content": f"Request {i} of others. " * 400} for i in range(4)]
    with ThreadPoolExecutor(6) as pool:
        others = [pool.submit(send, server, [message]) for message in noise]
        ours = [pool.submit(send, who, messages[:end]) for end, who in turns]
        for done in (*others, *ours):
            done.result()
    own = json.dumps(messages[0]["content"])[:40].encode()
    kept = [request for request in upstream.requests if own in request.body]
    upstream.requests.clear()
    upstream.requests.extend(kept)
    assert_stable(upstream, ends(messages))


def test_a_restart_changes_no_byte(
    upstream: Recorder, second: Served, recorder: Recorder, tmp_path: Path
) -> None:
    messages = CONVERSATIONS[1]
    for end in ends(messages):
        send(second, messages[:end])
    with serving(config(recorder), tmp_path) as anew:
        for end in ends(messages)[::-1]:
            send(anew, messages[:end])
    assert_stable(upstream, ends(messages))


def test_markers_stay_where_they_are(upstream: Recorder, second: Served) -> None:
    """And what carries them is compressed by the same rule as ever."""
    document = {"type": "text", "text": CONVERSATIONS[0][1]["content"], "cache_control": {"a": 1}}
    if not isinstance(document["text"], str):
        document["text"] = document["text"][0]["text"]
    plain = {"type": "text", "text": document["text"]}
    send(second, [{"role": "user", "content": [document, {"type": "text", "text": "Why?"}]}])
    send(second, [{"role": "user", "content": [plain, {"type": "text", "text": "Why?"}]}])
    marked, unmarked = (r.json["messages"][0]["content"] for r in upstream.requests)
    assert list(marked[0]) == ["type", "text", "cache_control"]
    assert marked[0].pop("cache_control") == {"a": 1}
    assert marked == unmarked
    assert len(marked[0]["text"]) < len(plain["text"])


def test_what_is_frozen_arrives_as_it_was(upstream: Recorder, second: Served) -> None:
    text = CONVERSATIONS[0][0]["content"] + "\n\nAnd so on. " * 60
    document = {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}
    messages: list[Message] = [
        {"role": "user", "content": [document]},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": f"{text}\n\nWhat now?"},
    ]
    send(second, messages, "frozen")
    sent = upstream.requests[0].json["messages"]
    assert sent[0] == messages[0]
    assert len(sent[2]["content"]) < len(messages[2]["content"])
