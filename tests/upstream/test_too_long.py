"""Refusals of prompts that are too long, as providers word them."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.upstream.too_long import too_long


def openai(message: str, code: str | None = None, kind: str = "invalid_request_error") -> Any:
    return {"error": {"message": message, "type": kind, "param": "messages", "code": code}}


ANTHROPIC = {"type": "error", "error": {"type": "invalid_request_error"}}


def anthropic(message: str) -> Any:
    return {**ANTHROPIC, "error": {**ANTHROPIC["error"], "message": message}}  # type: ignore[dict-item]


SAID = [
    (
        openai(
            "This model's maximum context length is 16385 tokens. However, your messages resulted "
            "in 20012 tokens. Please reduce the length of the messages.",
            "context_length_exceeded",
        ),
        (16385, 20012, False),
    ),
    (
        openai(
            "This model's maximum context length is 8192 tokens. However, you requested 9000 "
            "tokens (8000 in the messages, 1000 in the completion).",
            "context_length_exceeded",
        ),
        (8192, 8000, True),
    ),
    (
        openai(
            "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in "
            "300100 tokens. Please reduce the length of the messages.",
            "context_length_exceeded",
        ),
        (272000, 300100, False),
    ),
    (
        openai(
            "Your input exceeds the context window of this model. Please adjust your input and "
            "try again.",
            "context_length_exceeded",
        ),
        (None, None, False),
    ),
    (
        {
            "object": "error",
            "message": "This model's maximum context length is 4096 tokens. However, your request "
            "has 10001 input tokens. Please reduce the length of the input messages.",
            "type": "BadRequestError",
            "code": 400,
        },
        (4096, 10001, False),
    ),
    (anthropic("prompt is too long: 208310 tokens > 200000 maximum"), (200000, 208310, False)),
    (
        anthropic(
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, "
            "decrease input length or `max_tokens` and try again"
        ),
        (200000, 190000, True),
    ),
    (
        {
            "object": "error",
            "message": "Prompt contains 40012 tokens and 0 draft tokens, too large for model with "
            "32768 maximum context length",
            "type": "invalid_request_error",
            "code": "3051",
        },
        (32768, 40012, False),
    ),
    (
        {
            "error": {
                "code": 400,
                "message": "the request exceeds the available context size. try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 5012,
                "n_ctx": 4096,
            }
        },
        (4096, 5012, False),
    ),
    (
        [
            {
                "error": {
                    "code": 400,
                    "message": "The input token count (1200012) exceeds the maximum number of "
                    "tokens allowed (1048576).",
                    "status": "INVALID_ARGUMENT",
                }
            }
        ],
        (1048576, 1200012, False),
    ),
    (
        {
            "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. "
            "Given: 5012 `inputs` tokens and 512 `max_new_tokens`",
            "error_type": "validation",
        },
        (4097, 5012, True),
    ),
    (
        openai(
            "litellm.ContextWindowExceededError: BedrockException: Context Window Error - Input is "
            "too long for requested model.",
            "400",
        ),
        (None, None, False),
    ),
    (
        openai(
            "This endpoint's maximum context length is 65,536 tokens. However, you requested about "
            "70,012 tokens (66,000 of text input, 4,012 in the output)."
        ),
        (65536, 70012, True),
    ),
]


@pytest.mark.parametrize("body,found", SAID, ids=[str(i) for i in range(len(SAID))])
@pytest.mark.parametrize("squeezed", [False, True])
def test_a_refusal_is_understood(body: Any, found: Any, squeezed: bool) -> None:
    raw = json.dumps(body).encode()
    got = too_long(gzip.compress(raw), "gzip") if squeezed else too_long(raw)
    assert got is not None
    assert (got.limit, got.prompt, got.shared) == found


@pytest.mark.parametrize(
    "message,code",
    [
        ("Rate limit reached for gpt-4o: limit 30000 tokens per minute.", "rate_limit_exceeded"),
        ("Invalid type for 'messages[0].content'.", "invalid_type"),
        ("max_tokens is too large: 99999.", None),
        ("You have no money left.", "insufficient_quota"),
    ],
)
def test_another_refusal_is_none(message: str, code: str | None) -> None:
    assert too_long(json.dumps(openai(message, code)).encode()) is None


@given(st.binary(max_size=50) | st.text(max_size=50).map(lambda t: json.dumps(t).encode()))
def test_what_is_no_error_is_none(body: bytes) -> None:
    assert too_long(body) is None
    assert too_long(body, "gzip") is None
