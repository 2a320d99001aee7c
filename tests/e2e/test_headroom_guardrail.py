"""LiteLLM's own headroom guardrail, pointed at Precis: what it sends, and what it makes of that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import KEYS
from tests.e2e.serving import ROOT, Served
from tests.e2e.texts import FACTS, MEETING, REPORT

Run = Callable[[str], dict[str, Any]]

CALL = {"id": "call_1", "type": "function", "function": {"name": "minutes", "arguments": "{}"}}
HISTORY: list[dict[str, Any]] = [
    {"role": "system", "content": MEETING},
    {"role": "user", "content": REPORT},
    {"role": "assistant", "content": MEETING},
    {"role": "user", "content": "Get me the minutes."},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": MEETING},
    {"role": "assistant", "content": "Here they are."},
    {"role": "user", "content": MEETING},
]
WORDS = {"type": "text", "text": MEETING}
IMAGE = {"type": "image_url", "image_url": {"url": "data:,"}}
PARTS: list[dict[str, Any]] = [
    {"role": "user", "content": [{"type": "text", "text": "These are the minutes."}, WORDS]},
    {"role": "user", "content": [IMAGE, WORDS]},
    {"role": "user", "content": "What did it cost?"},
]
SHORT: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}, HISTORY[-1]]
BROKEN: list[dict[str, Any]] = [{"role": "user", "content": 7}, HISTORY[-1]]


@pytest.fixture(scope="module")
def run(server: Served, shared: Served) -> Run:
    """The guardrail's result by a case's name; one process does them all."""

    def case(
        served: Served, messages: list[dict[str, Any]], asked: str = "m", **settings: Any
    ) -> dict[str, Any]:
        data = {"model": asked, "messages": messages, "metadata": {}}
        inputs = {"structured_messages": messages}
        return {"api_base": served.root, "inputs": inputs, "request_data": data, **settings}

    cases = {
        "history": case(server, HISTORY),
        "longer": case(server, [*HISTORY, {"role": "assistant", "content": "47."}, HISTORY[-1]]),
        "parts": case(server, PARTS),
        "no route": case(server, HISTORY, "unheard-of"),
        "model set": case(server, HISTORY, "unheard-of", model="m"),
        "short": case(server, SHORT),
        "tenant": case(shared, HISTORY, api_key=KEYS["acme"]),
        "no key": case(shared, HISTORY),
        "no key, open": case(shared, HISTORY, unreachable_fallback="fail_open"),
        "not allowed": case(shared, HISTORY, "other", api_key=KEYS["globex"]),
        "broken": case(server, BROKEN),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.servers.headroom_guardrail"],
        input="".join(json.dumps(case) + "\n" for case in cases.values()),
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    results = dict(zip(cases, map(json.loads, done.stdout.splitlines()), strict=True))
    return results.__getitem__


def sent(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages that LiteLLM would send to the model."""
    messages: list[dict[str, Any]] = result["inputs"]["structured_messages"]
    return messages


def stats(result: dict[str, Any]) -> dict[str, Any]:
    (logged,) = result["logged"]
    assert logged["guardrail_status"] == "success"
    found: dict[str, Any] = logged["guardrail_response"]
    return found


def test_what_the_guardrail_does_not_hold_back_is_compressed(run: Run) -> None:
    result = run("history")
    pairs = enumerate(zip(HISTORY, sent(result), strict=True))
    changed = [at for at, (old, new) in pairs if old != new]
    assert changed == [1, 5]  # an earlier turn of the user's, and the result of a tool
    for at in changed:
        old, new = HISTORY[at], sent(result)[at]
        assert {**new, "content": old["content"]} == old
        assert len(new["content"]) < 0.75 * len(old["content"])
    assert all(fact in sent(result)[1]["content"] for fact in FACTS)


def test_what_was_saved_is_counted(run: Run) -> None:
    found = stats(run("history"))
    assert found["tokens_saved"] == found["tokens_before"] - found["tokens_after"] > 1000
    assert found["compression_ratio"] == found["tokens_after"] / found["tokens_before"]
    assert len(found["transforms_applied"]) == 2


def test_a_conversation_that_grows_keeps_what_was_sent(run: Run) -> None:
    assert sent(run("longer"))[:7] == sent(run("history"))[:7]


def test_parts_come_back_as_parts(run: Run) -> None:
    texts, image, question = sent(run("parts"))
    assert [part["type"] for part in texts["content"]] == ["text"]  # LiteLLM has joined them
    assert image["content"][0] == IMAGE
    for message in (texts, image):
        assert len(message["content"][-1]["text"]) < 0.75 * len(MEETING)
    assert question == PARTS[2]


def test_the_model_chooses_the_route(run: Run) -> None:
    assert sent(run("no route")) == HISTORY
    assert stats(run("no route"))["tokens_saved"] == 0
    assert sent(run("model set")) == sent(run("history"))


def test_short_messages_stay(run: Run) -> None:
    assert sent(run("short")) == SHORT


def test_a_tenants_key_is_the_guardrails_own_and_its_policy_holds(run: Run) -> None:
    tenants, anyones = stats(run("tenant")), stats(run("history"))
    assert anyones["tokens_saved"] > tenants["tokens_saved"] > 100  # at 0.5 and at 0.8


@pytest.mark.parametrize(
    "case,status,code",
    [
        ("no key", 401, "missing_api_key"),
        ("not allowed", 403, "model_not_allowed"),
        ("broken", 400, "invalid_type"),
    ],
)
def test_an_error_is_told_with_its_status_and_reason(
    run: Run, case: str, status: int, code: str
) -> None:
    told, detail = run(case)["refused"]
    assert (told, detail["status_code"]) == (502, status)
    assert json.loads(detail["body"])["error"]["code"] == code


def test_an_error_leaves_the_request_alone_where_litellm_is_told_to_go_on(run: Run) -> None:
    assert sent(run("no key, open")) == HISTORY
