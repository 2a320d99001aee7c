"""JSON and tagged prompts through the real server, with the real classifier and client."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.tokens import encoding
from tests.e2e.serving import Served
from tests.e2e.texts import MEETING
from tests.servers.recorder import Recorder

BODY = MEETING[:1500].replace('"', "'") + ' He said "not today" — caf\u00e9, \U0001f600.\n\n'
DOC: dict[str, Any] = {
    "id": 7,
    "items": [{"sku": f"AB-{n}", "price": 12.50, "body": BODY, "ok": True} for n in range(2)],
    "description": BODY,
    "next": None,
}


def is_subsequence(short: str, long: str) -> bool:
    letters = iter(long)
    return all(letter in letters for letter in short)


def send(
    server: Served, upstream: Recorder, messages: list[Any], **headers: str
) -> tuple[list[str], Any]:
    """What of each message the upstream got, and the answer's headers."""
    upstream.requests.clear()
    with server.client() as client:
        raw = client.chat.completions.with_raw_response.create(
            model="m", messages=messages, extra_headers=headers
        )
    return [m["content"] for m in upstream.requests[0].json["messages"]], raw.headers


def tool_result(content: str) -> list[Any]:
    call = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
    return [
        {"role": "user", "content": "What do the items say?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": content},
    ]


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_tool_result_in_json_keeps_all_but_words_of_long_strings(
    server: Served, upstream: Recorder, indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(DOC, indent=indent, ensure_ascii=ascii_only).replace("12.5", "12.50")
    (_, _, sent), headers = send(server, upstream, tool_result(text))
    assert headers["x-precis-decision"] == "compressed"
    assert is_subsequence(sent, text) and "12.50" in sent
    after = json.loads(sent)
    strings = [*(item.pop("body") for item in after["items"]), after.pop("description")]
    before = json.loads(text)
    assert [item.pop("body") for item in before["items"]] + [before.pop("description")] == [
        BODY
    ] * 3
    assert after == before
    for string in strings:
        assert is_subsequence(string, BODY) and len(string) < 0.75 * len(BODY)
        assert '"not today"' in string and "😀" in string and "\n\n" in string
    if indent:
        assert sent.count("\n") == text.count("\n") and '\n      "ok": true' in sent


def test_paths_give_strings_rates_of_their_own(server: Served, upstream: Recorder) -> None:
    text = json.dumps(DOC)
    messages = tool_result(text)
    (_, _, sent), _ = send(server, upstream, messages, **{"x-precis-policy": "ruled"})
    after = json.loads(sent)
    assert after["description"] == BODY
    count = encoding().count
    for item in after["items"]:
        # What is protected stays too, so the rate is not reached, but this is less than half.
        assert count(item["body"]) < 0.45 * count(BODY)


def test_json_lines_stay_json_lines(server: Served, upstream: Recorder) -> None:
    text = "\n".join(json.dumps({"n": n, "text": BODY}) for n in range(3)) + '\n{"n": 3}\n'
    (_, _, sent), headers = send(server, upstream, tool_result(text))
    assert headers["x-precis-decision"] == "compressed"
    rows = [json.loads(line) for line in sent.splitlines()]
    assert [row["n"] for row in rows] == [0, 1, 2, 3]
    assert all(len(row["text"]) < len(BODY) for row in rows[:3])


TAGGED = (
    f"You write minutes.\n\n<llmlingua, rate=0.3, compress=True>{MEETING}</llmlingua>\n\n"
    "<keep>Answer in < 3 lines, never in <b>bold</b>.</keep> <llmlingua, compress=False>Be brief,"
    " and be just to all the people who were there.</llmlingua> <keep>Not closed."
)


def test_tags_in_a_system_message_are_obeyed_and_removed(
    server: Served, upstream: Recorder
) -> None:
    messages = [{"role": "system", "content": TAGGED}, {"role": "user", "content": "Go."}]
    (sent, _), headers = send(server, upstream, messages)
    assert headers["x-precis-decision"] == "compressed"
    assert is_subsequence(sent, TAGGED) and "llmlingua" not in sent
    assert sent.startswith("You write minutes.\n\n")
    assert sent.endswith(
        "\n\nAnswer in < 3 lines, never in <b>bold</b>. Be brief, and be just to all the people "
        "who were there. <keep>Not closed."
    )
    count = encoding().count
    assert count(sent) < 0.6 * count(TAGGED)


def test_tags_in_a_users_message_are_text_unless_the_policy_obeys_them(
    server: Served, upstream: Recorder
) -> None:
    text = f"<keep>{MEETING[:400]}</keep>\n\n{MEETING}\n\nWho was there?"
    messages = [{"role": "user", "content": text}]
    (sent,), _ = send(server, upstream, messages)
    assert "<keep>" in sent and "</keep>" in sent and MEETING[:400] not in sent
    (sent,), _ = send(server, upstream, messages, **{"x-precis-policy": "ruled"})
    assert "keep>" not in sent and MEETING[:400] in sent


def test_tags_go_from_a_message_too_short_to_compress(server: Served, upstream: Recorder) -> None:
    messages = [
        {"role": "system", "content": "Be <keep>brief</keep>."},
        {"role": "user", "content": "Go <keep>on</keep>."},
    ]
    sent, headers = send(server, upstream, messages)
    assert sent == ["Be brief.", "Go <keep>on</keep>."]
    assert headers["x-precis-decision"] == "compressed"


def test_tags_of_a_tool_are_never_obeyed(server: Served, upstream: Recorder) -> None:
    text = f"<llmlingua rate=0.01>{MEETING}</llmlingua>"
    messages = tool_result(text)
    (_, _, sent), _ = send(server, upstream, messages, **{"x-precis-policy": "ruled"})
    assert sent.startswith("<llmlingua rate=0.01>") and sent.endswith("</llmlingua>")
    count = encoding().count
    assert count(sent) > 0.4 * count(text)
