"""What compression does to a request on its way: the real classifier in the real server."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from tests.e2e.serving import Served
from tests.e2e.texts import CODE, DATA, FACTS, MEETING, QUESTION, REPORT
from tests.servers.recorder import Recorder

Message = dict[str, Any]


def is_subsequence(short: str, long: str) -> bool:
    letters = iter(long)
    return all(letter in letters for letter in short)


def ask(server: Served, messages: list[Message], model: str = "m", **headers: str) -> Any:
    body = {"model": model, "messages": messages}
    answer = server.post(body, headers={k.replace("_", "-"): v for k, v in headers.items()})
    assert answer.status_code == 200, answer.text
    return answer.headers


def test_the_model_gets_a_shorter_prompt_with_all_that_matters(
    server: Served, upstream: Recorder
) -> None:
    with server.client() as client:
        raw = client.chat.completions.with_raw_response.create(
            model="m", messages=[{"role": "user", "content": REPORT}]
        )
    sent = upstream.requests[0].json["messages"][0]["content"]
    assert is_subsequence(sent, REPORT) and len(sent) < 0.75 * len(REPORT)
    assert sent.startswith(QUESTION) and sent.endswith(QUESTION)
    for part in (CODE, DATA, *FACTS, "not insured"):
        assert part in sent
    headers = raw.headers
    before, after = (int(headers[f"x-precis-tokens-{when}"]) for when in ("before", "after"))
    assert int(headers["x-precis-tokens-saved"]) == before - after > 0
    assert headers["x-precis-decision"] == headers["x-precis-reason"] == "compressed"
    assert headers["x-precis-policy"] == "default"
    assert float(headers["x-precis-ms"]) > 0
    assert float(headers["x-precis-overhead-ms"]) >= float(headers["x-precis-ms"])


def test_the_same_request_gives_the_same_bytes(server: Served, upstream: Recorder) -> None:
    for _ in range(3):
        ask(server, [{"role": "user", "content": REPORT}])
    assert len({seen.body for seen in upstream.requests}) == 1


@pytest.mark.parametrize("rate,share", [("0.9", 0.9), ("0.6", 0.6)])
def test_a_gentler_rate_is_kept_to(
    server: Served, upstream: Recorder, rate: str, share: float
) -> None:
    headers = ask(server, [{"role": "user", "content": MEETING}], x_precis_rate=rate)
    before, after = (int(headers[f"x-precis-tokens-{when}"]) for when in ("before", "after"))
    question = 120  # does not count towards the rate
    assert 0.98 * share * before <= after <= 1.02 * share * before + question


def test_a_harsher_rate_is_refused(server: Served, upstream: Recorder) -> None:
    answer = server.post(
        {"model": "m", "messages": [{"role": "user", "content": "x"}]},
        headers={"x-precis-rate": "0.2"},
    )
    assert answer.status_code == 403
    assert answer.json()["error"]["param"] == "x-precis-rate"
    assert not upstream.requests


def test_a_bypass_sends_what_came(server: Served, upstream: Recorder) -> None:
    headers = ask(server, [{"role": "user", "content": MEETING}], x_precis_bypass="true")
    assert (headers["x-precis-decision"], headers["x-precis-reason"]) == ("bypassed", "bypass")
    assert "x-precis-tokens-before" not in headers
    assert upstream.requests[0].json["messages"][0]["content"] == MEETING


def test_another_policy_can_be_asked_for(server: Served, upstream: Recorder) -> None:
    messages = [{"role": "user", "content": MEETING}]
    usual = ask(server, messages)
    hard = ask(server, messages, x_precis_policy="hard")
    assert hard["x-precis-policy"] == "hard"
    assert int(hard["x-precis-tokens-after"]) < int(usual["x-precis-tokens-after"])


def test_what_no_route_matches_goes_on_untouched(server: Served, upstream: Recorder) -> None:
    headers = ask(server, [{"role": "user", "content": MEETING}], model="plain")
    assert (headers["x-precis-decision"], headers["x-precis-reason"]) == ("unchanged", "no route")
    assert upstream.requests[0].json["messages"][0]["content"] == MEETING


def test_reasons_are_told_for_what_stays(server: Served, upstream: Recorder) -> None:
    headers = ask(server, [{"role": "user", "content": "Hi"}, {"role": "system", "content": "a"}])
    assert headers["x-precis-decision"] == "unchanged"
    assert headers["x-precis-reason"] == "short 1, role 1"


@pytest.mark.parametrize(
    "text",
    ["", " \n ", "\ud800 broken " * 200, "\x00 nul " * 200, "<|endoftext|> said " * 200,
     "会议纪要" * 400, "مرحبا بالعالم " * 300, "🙂 ok then " * 200, "a" * 5000],
    ids=["empty", "blank", "surrogate", "nul", "special", "chinese", "arabic", "emoji", "one word"],
)  # fmt: skip
def test_odd_texts_arrive_whole_or_shorter(server: Served, upstream: Recorder, text: str) -> None:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
    answer = server.post(body)
    assert answer.status_code == 200, answer.text
    sent = upstream.requests[0].json["messages"][0]["content"]
    assert is_subsequence(sent, text) and bool(sent.strip()) == bool(text.strip())


def turns(topic: str, count: int) -> list[Message]:
    """A conversation about a document, its turns as people and tools write them."""
    lines = MEETING.split("\n\n")
    messages: list[Message] = [{"role": "system", "content": f"You know about {topic}."}]
    for turn in range(count):
        excerpt = "\n\n".join(lines[turn % 5 : turn % 5 + 6])
        asked = f"And what do we know about {topic} from this, in turn {turn}?"
        messages.append({"role": "user", "content": f"{excerpt}\n\n{asked}"})
        if turn % 2:
            call = {"id": f"c{turn}", "type": "function"}
            call["function"] = {"name": "look", "arguments": "{}"}
            messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
            messages.append({"role": "tool", "tool_call_id": f"c{turn}", "content": excerpt})
        messages.append({"role": "assistant", "content": f"Nothing new about {topic}."})
        parts = [{"type": "text", "text": excerpt}, {"type": "text", "text": asked}]
        messages.append({"role": "user", "content": parts})
    return messages


@pytest.mark.parametrize("topic", ["the freezer", "Gerald's telephone", "the insurer"])
def test_a_conversations_prefix_is_compressed_to_the_same_bytes(
    server: Served, upstream: Recorder, topic: str
) -> None:
    """What the upstream has cached at one turn is what it gets at the next."""
    messages = turns(topic, 3)
    ends = [i + 1 for i, message in enumerate(messages) if message["role"] == "user"]
    for end in ends:
        headers = ask(server, messages[:end])
        assert headers["x-precis-decision"] == "compressed"
    # The list stands last in the body, so that only its end differs.
    bodies = [seen.body.removesuffix(b"]}") for seen in upstream.requests]
    assert len(bodies) == len(ends)
    for shorter, longer in pairwise(bodies):
        assert longer.startswith(shorter)


def test_a_deadline_that_is_missed_sends_the_original(server: Served, upstream: Recorder) -> None:
    headers = ask(server, [{"role": "user", "content": REPORT}], model="hasty")
    assert headers["x-precis-decision"] == "failed-open"
    assert headers["x-precis-reason"] == "deadline"
    assert upstream.requests[0].json["messages"][0]["content"] == REPORT
    with server.client() as client:
        receipt: Any = client.get(f"/receipts/{headers['x-precis-request-id']}", cast_to=object)
    assert receipt["stable"] is False


def test_a_deadline_that_is_missed_can_fail(server: Served, upstream: Recorder) -> None:
    answer = server.post({"model": "strict", "messages": [{"role": "user", "content": REPORT}]})
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "compression_deadline"
    assert not upstream.requests
