"""Fit to window: shortened to the model's limit where the policy asks for it, else explained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from proxy.app import build
from proxy.config import Config
from proxy.tokens import encoding
from tests.compress.readers import fake
from tests.servers.recorder import Recorder, Reply

DOCUMENT = "The word of a number is in the number of words, and it was for that. " * 20
QUESTION = "Which number is it?"
MESSAGES: list[Any] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": f"{DOCUMENT}\n\n{QUESTION}"},
    {"role": "assistant", "content": "Seven."},
    {"role": "user", "content": f"{DOCUMENT}\n\n{QUESTION}"},
]
count = encoding().count


@pytest.fixture
def upstream() -> Iterator[Recorder]:
    with Recorder() as running:
        yield running


def ask(
    upstream: Recorder, body: dict[str, Any] | None = None, limit: int | None = 400, **policy: Any
) -> tuple[httpx.Response, dict[str, Any]]:
    """The answer, and the receipt."""
    policy = {"rate": 0.9, "min_tokens": 100, "deadline_ms": 60_000, **policy}
    params = {"model": "openai/gpt-3.5-turbo", "api_base": upstream.url, "max_retries": 0}
    info = {"max_input_tokens": limit} if limit else {}
    config = Config.model_validate(
        {
            "model_list": [{"model_name": "m", "litellm_params": params, "model_info": info}],
            "policies": {"p": policy},
            "routes": [{"policy": "p"}],
        }
    )
    path = "/v1/responses" if body and "input" in body else "/v1/chat/completions"
    with TestClient(build(config, fake())) as client:
        answer = client.post(path, json={"model": "m", **(body or {"messages": MESSAGES})})
        number = answer.headers["x-precis-request-id"]
        return answer, client.get(f"/v1/receipts/{number}").json()


def size(messages: list[Any]) -> int:
    return sum(count(message["content"]) for message in messages)


def test_a_prompt_over_the_limit_is_shortened_to_it(upstream: Recorder) -> None:
    answer, receipt = ask(upstream, fit_to_window=True)
    assert answer.status_code == 200
    sent = upstream.requests[0].json["messages"]
    assert 330 < size(sent) < 400
    assert [m["content"] for m in sent[::2]] == ["Be brief.", "Seven."]
    for message in (sent[1], sent[3]):
        assert message["content"].endswith(QUESTION)
    assert (receipt["stable"], receipt["decision"]) == (False, "compressed")
    assert receipt["reason"].startswith("fit to window at rate 0.")
    assert answer.headers["x-precis-reason"] == receipt["reason"]
    assert receipt["tokens_after"] == size(sent)


def test_a_prompt_that_fits_is_treated_as_ever(upstream: Recorder) -> None:
    _, receipt = ask(upstream, limit=5000, fit_to_window=True)
    assert receipt["stable"] is True
    assert size(upstream.requests[0].json["messages"]) > 400


def test_it_fits_whatever_else_the_policy_says(upstream: Recorder) -> None:
    for policy in (
        {"pays_over": "never"},
        {"target_tokens": 5000},
        {"min_tokens": 9000},
        {"deadline_ms": 1},
    ):
        answer, _ = ask(upstream, fit_to_window=True, question="none", **policy)
        assert answer.status_code == 200
    assert [size(seen.json["messages"]) < 400 for seen in upstream.requests] == [True] * 4


def test_room_is_kept_for_the_answer(upstream: Recorder) -> None:
    ask(upstream, fit_to_window={"reserve_tokens": 100})
    assert 230 < size(upstream.requests[0].json["messages"]) < 300


def refusal(limit: int, prompt: int) -> Reply:
    said = f"This model's maximum context length is {limit} tokens. However, your messages "
    said += f"resulted in {prompt} tokens."
    error = {"message": said, "type": "invalid_request_error", "param": "messages"}
    return Reply(status=400, body={"error": {**error, "code": "context_length_exceeded"}})


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_answered_by_one_more_try_that_fits(upstream: Recorder, stream: bool) -> None:
    upstream.script([refusal(400, 900)])
    body = {"messages": MESSAGES, "stream": stream}
    answer, receipt = ask(upstream, body, limit=None, fit_to_window=True)
    assert answer.status_code == 200
    first, second = (size(seen.json["messages"]) for seen in upstream.requests)
    # The provider counts more than we do, so there is less room than it says.
    assert 0.75 < second / (400 * first / 900) < 1
    assert (receipt["stable"], receipt["status"]) == (False, 200)


def test_a_second_refusal_is_told_with_what_would_fit(upstream: Recorder) -> None:
    upstream.script([refusal(400, 900), refusal(400, 410)])
    answer, receipt = ask(upstream, limit=None, fit_to_window=True)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "context_length_exceeded")
    assert "would fit" in error["message"]
    assert len(upstream.requests) == 2
    assert receipt["status"] == 400


def test_without_the_wish_the_refusal_tells_what_would_fit(upstream: Recorder) -> None:
    upstream.script([refusal(400, 900)])
    answer, receipt = ask(upstream, limit=None)
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert error["code"] == "context_length_exceeded" and error["param"] == "messages"
    assert error["message"].startswith("This model's maximum context length is 400 tokens.")
    assert "a rate of 0." in error["message"]
    assert receipt["stable"] is True and len(upstream.requests) == 1


def test_without_the_wish_an_estimate_changes_nothing(upstream: Recorder) -> None:
    answer, receipt = ask(upstream)
    assert (answer.status_code, receipt["stable"]) == (200, True)


def test_another_refusal_comes_back_byte_for_byte(upstream: Recorder) -> None:
    body = b'{ "error": {"message": "No.", "code": null} }'
    upstream.script([Reply(status=400, body=body)])
    answer, _ = ask(upstream, limit=None, fit_to_window=True)
    assert answer.content == body


def test_what_can_not_fit_is_told_before_it_is_sent(upstream: Recorder) -> None:
    code = "```python\n" + "x = 1\n" * 300 + "```"
    body = {"messages": [{"role": "user", "content": code}]}
    answer, receipt = ask(upstream, body, fit_to_window=True)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "context_length_exceeded")
    assert "at least" in error["message"] and "x = 1" not in error["message"]
    assert not upstream.requests
    assert receipt["status"] == 400


def test_shadow_changes_nothing_here_either(upstream: Recorder) -> None:
    key = {"mode": "shadow"}
    params = {"model": "openai/x", "api_base": upstream.url}
    config = Config.model_validate(
        {
            "model_list": [
                {"model_name": "m", "litellm_params": params, "model_info": {"max_input_tokens": 9}}
            ],
            "policies": {"p": {"fit_to_window": True, "min_tokens": 100}},
            "routes": [{"policy": "p", **key}],
        }
    )
    with TestClient(build(config, fake())) as client:
        assert client.post(
            "/v1/chat/completions", json={"model": "m", "messages": MESSAGES}
        ).is_success
    assert upstream.requests[0].json["messages"] == MESSAGES


def test_other_shapes_fit_too(upstream: Recorder) -> None:
    body = {"input": f"{DOCUMENT}{DOCUMENT}\n\n{QUESTION}", "instructions": "Be brief."}
    answer, receipt = ask(upstream, body, fit_to_window=True)
    assert answer.status_code == 200 and receipt["stable"] is False
    sent = json.loads(upstream.requests[0].body)["input"]
    assert 300 < count(sent) < 400 and sent.endswith(QUESTION)
