"""Whether a provider's refusal says that the prompt is too long, and by how much. Pure.

OpenAI and those who follow it give a code; the others only say so, each in its own words, which
are collected here from their documentation and servers.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.upstream.call import Answer

STATUSES = frozenset({400, 413, 422})
MAX_BODY = 1 << 16
"""Bytes of a refusal that are read; longer ones are no refusals of this kind."""

_CODES = frozenset(
    {"context_length_exceeded", "exceed_context_size_error", "context_window_exceeded"}
)
_N = r"[^\d]{0,40}?(\d[\d,]*)"
_WORDS = re.compile(
    r"(?i)maximum context length|context[_ ](?:length|window|size|limit)|prompt is too long"
    r"|too large for model|input is too long|input token count|max_new_tokens.{0,20}must be"
    r"|tokens exceed the configured limit"
)
_LIMITS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"maximum context length (?:is|of){_N}",  # OpenAI, vLLM, DeepSeek, OpenRouter
        r"with (\d[\d,]*) maximum context length",  # Mistral
        rf"configured limit of{_N}",  # OpenAI, newer models
        r"> (\d[\d,]*) maximum",  # Anthropic
        r"exceed context limit: \d+ \+ \d+ > (\d+)",  # Anthropic, with the answer's tokens
        rf"maximum number of tokens allowed{_N}",  # Gemini
        rf"available context size{_N}",  # llama.cpp
        r"must be <= (\d[\d,]*)",  # text-generation-inference, Together
    )
)
_SHARED = re.compile(r"(?i)completion|max_(?:new_)?tokens|you requested")
_PROMPTS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\((\d[\d,]*) in the messages",  # OpenAI and vLLM: asked for is with the answer's tokens
        r"messages resulted in (\d[\d,]*)",
        r"(?:prompt|request) (?:contains|has)(?: at least)? (\d[\d,]*)",
        r"prompt is too long: (\d[\d,]*)",
        r"exceed context limit: (\d+) \+",
        r"input token count \((\d[\d,]*)\)",
        r"request \((\d[\d,]*) tokens\) exceeds",
        r"given: (\d[\d,]*) `inputs`",
        r"requested (?:about )?(\d[\d,]*) tokens",
    )
)


@dataclass(frozen=True)
class TooLong:
    """A refusal of this kind."""

    error: Mapping[str, Any] = field(repr=False)
    """The body as it came."""
    limit: int | None
    """Tokens that the model takes, if it says so."""
    prompt: int | None
    """Tokens that the prompt has, by its own count, if it says so."""
    shared: bool = False
    """Whether the limit is for the prompt and the answer together."""


async def refused_as_too_long(answer: Answer) -> TooLong | None:
    """Look into a refusal. What was read is still there for whoever relays the answer.

    Raises UpstreamError as ``Answer.read_ahead`` does.
    """
    if answer.status not in STATUSES:
        return None
    await answer.read_ahead(MAX_BODY)
    if not answer.ended:
        return None
    encoding = dict(answer.headers).get(b"content-encoding", b"")
    return too_long(answer.ahead, encoding.decode("latin-1"))


def too_long(body: bytes, encoding: str = "") -> TooLong | None:
    """The same for the body of a refusal, in OpenAI's shape or another."""
    try:
        plain = zlib.decompress(body, 47) if encoding in ("gzip", "deflate") else body
        said = json.loads(plain)
    except (ValueError, zlib.error, RecursionError):
        return None
    if isinstance(said, list) and len(said) == 1:
        said = said[0]  # Gemini's
    if not isinstance(said, dict):
        return None
    error = said["error"] if isinstance(said.get("error"), dict) else said
    message = str(error.get("message") or said.get("message") or said.get("error") or "")
    kinds = {str(error.get(name)) for name in ("code", "type")}
    if not (kinds & _CODES or _WORDS.search(message)):
        return None
    given = (error.get("n_ctx"), error.get("n_prompt_tokens"))  # llama.cpp
    limit, prompt = (number if isinstance(number, int) else None for number in given)
    limit, prompt = limit or _first(_LIMITS, message), prompt or _first(_PROMPTS, message)
    alone = prompt is not None and limit is not None and prompt <= limit
    return TooLong(said, limit, prompt, alone or bool(_SHARED.search(message)))


def _first(patterns: tuple[re.Pattern[str], ...], message: str) -> int | None:
    found = (pattern.search(message) for pattern in patterns)
    return next((int(match[1].replace(",", "")) for match in found if match), None)
