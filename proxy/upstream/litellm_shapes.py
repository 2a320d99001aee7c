"""What litellm is asked for, by path: which of its functions, which fields, how its events read.

Knows nothing of litellm but the names of its functions.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_CHAT = frozenset(
    # OpenAI's request fields...
    "messages model stream stream_options temperature top_p n stop max_tokens "
    "max_completion_tokens presence_penalty frequency_penalty logit_bias logprobs top_logprobs "
    "user seed response_format tools tool_choice parallel_tool_calls functions function_call "
    "modalities audio prediction reasoning_effort verbosity service_tier store metadata "
    "prompt_cache_key prompt_cache_retention safety_identifier web_search_options "
    # ... and other providers' own that are data and nothing else.
    "thinking top_k min_p repetition_penalty safety_settings".split()
)
_COMPLETION = frozenset(
    "model prompt stream stream_options suffix temperature top_p n stop max_tokens "
    "presence_penalty frequency_penalty logit_bias logprobs user seed".split()
)
_RESPONSES = frozenset(
    # Nothing that refers to what is stored: these providers store nothing.
    "model input instructions stream temperature top_p max_output_tokens tools tool_choice "
    "parallel_tool_calls reasoning text metadata user include store truncation".split()
)
_MESSAGES = frozenset(
    "model messages system stream temperature top_p top_k max_tokens stop_sequences tools "
    "tool_choice thinking metadata".split()
)


@dataclass(frozen=True)
class Shape:
    """One kind of call."""

    function: str
    """Where litellm has it: names with dots between."""
    fields: frozenset[str]
    """Fields that a client may set. litellm takes addresses, keys and files from the same
    arguments, so anything else from a client could send the entry's key to a place of the
    client's choice."""
    event: Callable[[Any], bytes]
    """One chunk of a stream as an event."""
    end: bytes = b""
    """What follows the last event."""
    more: tuple[tuple[str, Any], ...] = ()
    """Arguments besides."""


def shape(path: str) -> Shape | None:
    """The shape of calls to that path; None if litellm has no function for it."""
    return _SHAPES.get(path.rstrip("/"))


def whole(result: Any) -> bytes:
    """A whole answer as JSON."""
    if isinstance(result, dict):
        return json.dumps(result).encode("ascii")
    text: str = result.model_dump_json()
    return text.encode()


def _chunk(chunk: Any) -> bytes:
    """Without litellm's many unset fields, but with those that OpenAI's clients rely on."""
    value = chunk.model_dump(exclude_none=True, exclude_unset=True)
    for choice in value.get("choices", ()):
        choice.setdefault("finish_reason", None)
    return _data(value)


def _completion(chunk: Any) -> bytes:
    value = chunk.model_dump(exclude_none=True)
    for choice in value.get("choices", ()):
        choice.setdefault("text", "")
        choice.setdefault("finish_reason", None)
    if not (value.get("usage") or {}).get("total_tokens"):
        value.pop("usage", None)  # litellm puts zeros where nothing is known yet
    return _data(value)


def _response(event: Any) -> bytes:
    value = event.model_dump(mode="json")
    return b"event: %b\n" % str(value["type"]).encode() + _data(value)


def _as_it_is(chunk: Any) -> bytes:
    return chunk if isinstance(chunk, bytes) else str(chunk).encode()


def _data(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n\n"


_DONE = b"data: [DONE]\n\n"
# Its hook for tools imports its proxy server, with dependencies that we don't have.
_NO_HOOK = (("_skip_mcp_handler", True),)

_SHAPES = {
    "/chat/completions": Shape("acompletion", _CHAT, _chunk, _DONE, _NO_HOOK),
    "/completions": Shape("atext_completion", _COMPLETION, _completion, _DONE),
    "/responses": Shape("aresponses", _RESPONSES, _response),
    "/messages": Shape("anthropic.messages.acreate", _MESSAGES, _as_it_is),
}
