"""Every provider that does not speak OpenAI's protocol: chat completions through litellm.

litellm is imported on first use, in a thread: it takes seconds and 165 MB, and most installations
never need it. The only file that knows it.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import os
import re
import sys
import warnings
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx

from proxy.config import LiteLLMParams, ModelEntry
from proxy.errors import BadRequest, UpstreamError, UpstreamTimeout
from proxy.upstream.call import Answer, Call, Header, Timeouts

FIELDS = frozenset(
    # OpenAI's request fields...
    "messages model stream stream_options temperature top_p n stop max_tokens "
    "max_completion_tokens presence_penalty frequency_penalty logit_bias logprobs top_logprobs "
    "user seed response_format tools tool_choice parallel_tool_calls functions function_call "
    "modalities audio prediction reasoning_effort verbosity service_tier store metadata "
    "prompt_cache_key prompt_cache_retention safety_identifier web_search_options "
    # ... and other providers' own that are data and nothing else.
    "thinking top_k min_p repetition_penalty safety_settings".split()
)
"""Fields that a client may set. litellm takes addresses, keys and files from the same arguments,
so anything else from a client could send the entry's key to a place of the client's choice."""

_OWN_LOGIN = ("bedrock", "sagemaker", "vertex_ai")
"""Providers for which a client's bearer token would take the place of the machine's login."""

_JSON: list[Header] = [(b"content-type", b"application/json")]
_EVENTS: list[Header] = [(b"content-type", b"text/event-stream; charset=utf-8")]
_MADE_UP = ("Timeout", "APIConnectionError")
"""litellm's errors, by name because they are not imported yet, that come without an answer."""

_PASSED = re.compile(r"retry-after(-ms)?|x-should-retry|(x-)?request-id|.*ratelimit.*")
"""Headers of the provider that the client gets: rate limits, and what to quote to support."""


class LiteLLM:
    """A provider that translates to and from some hundred others."""

    async def send(self, call: Call, entry: ModelEntry, timeouts: Timeouts) -> Answer:
        """The completion in OpenAI's form, or the provider's refusal with its status.

        Raises UpstreamError and UpstreamTimeout as ``Provider`` says, BadRequest for any path but
        chat completions and for fields outside ``FIELDS``.
        """
        arguments = _arguments(call, entry, timeouts)
        litellm, error = await asyncio.to_thread(_load)
        try:
            result = await litellm.acompletion(**arguments)
        except error as exc:
            return _refusal(exc, entry)
        headers = _passed(result._hidden_params.get("additional_headers"))
        if call.stream:
            events, close = _events(result, error, entry), functools.partial(_hang_up, result)
            return Answer(200, [*_EVENTS, *headers], events, entry=entry, close=close)
        return _whole(200, result.model_dump_json().encode(), headers, entry)

    async def aclose(self) -> None:
        """Close litellm's connections, if it was ever loaded."""
        litellm = sys.modules.get("litellm")
        if litellm is not None:
            await litellm.close_litellm_async_clients()


@functools.cache
def _load() -> tuple[Any, type[Exception]]:
    """Import litellm, quietly: no network, no .env file, no prints, no log lines with prompts.

    Returns it with the base class of its errors, which are the OpenAI client's.
    """
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    import litellm
    import openai

    litellm.telemetry = False
    litellm.suppress_debug_info = True
    logging.getLogger("LiteLLM").disabled = True
    # Its own types, when pydantic first reads them.
    warnings.filterwarnings("ignore", message="Item .* using the `ReadOnly` qualifier")
    return litellm, openai.OpenAIError


def _arguments(call: Call, entry: ModelEntry, timeouts: Timeouts) -> dict[str, Any]:
    if call.path.rstrip("/") != "/chat/completions":
        raise BadRequest(
            f"The model {entry.model_name!r} ({entry.litellm_params.model}) is reached through "
            "litellm, which takes /v1/chat/completions only.",
            param="model",
        )
    params = entry.litellm_params
    asked = _asked(call, entry)
    ours = {
        "model": params.model,
        "api_key": params.api_key.get_secret_value() if params.api_key else _bearer(call, params),
        "api_base": params.api_base,
        "api_version": params.api_version,
        "organization": params.organization,
        "extra_headers": params.extra_headers,
    }
    # Retries are the pool's, which knows the other entries and the deadline.
    waits = {"timeout": timeouts.read, "max_retries": 0, "num_retries": 0}
    # Its tools hook imports its proxy server, with dependencies that we don't have.
    waits["_skip_mcp_handler"] = True
    given = {name: value for name, value in ours.items() if value}
    return {**params.defaults, **asked, **given, **waits}


def _asked(call: Call, entry: ModelEntry) -> dict[str, Any]:
    """The client's own fields, without the entry's defaults: what is in here is not trusted."""
    try:
        asked = json.loads(call.body_for(entry.litellm_params.model, {}))
    except ValueError:
        asked = None
    if not isinstance(asked, dict):
        # Without a cause, which would carry the body into the log.
        raise BadRequest("The body is no JSON object.", code="invalid_json")
    for name in asked:
        if name not in FIELDS:
            raise BadRequest(
                f"The field {name[:100]!r} can't be passed on to the model {entry.model_name!r} "
                f"({entry.litellm_params.model}); leave it out.",
                param=name[:100],
            )
    return asked


def _bearer(call: Call, params: LiteLLMParams) -> str | None:
    """The client's own key, which goes on where the entry has none."""
    if params.model.partition("/")[0] in _OWN_LOGIN:
        return None
    shown = next((value for name, value in call.headers if name.lower() == "authorization"), "")
    scheme, _, key = shown.partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


async def _events(
    result: AsyncIterator[Any], error: type[Exception], entry: ModelEntry
) -> AsyncIterator[bytes]:
    try:
        async for chunk in result:
            yield b"data: " + _chunk(chunk) + b"\n\n"
    except error as exc:
        # The status is out already, so whatever it is, the answer breaks off here.
        raise _failure(exc, entry, "broke off in the middle of its answer") from exc
    yield b"data: [DONE]\n\n"


def _chunk(chunk: Any) -> bytes:
    """Without litellm's many unset fields, but with those that OpenAI's clients rely on."""
    value = chunk.model_dump(exclude_none=True, exclude_unset=True)
    for choice in value.get("choices", ()):
        choice.setdefault("finish_reason", None)
    return json.dumps(value, separators=(",", ":")).encode("ascii")


async def _hang_up(result: Any) -> None:
    """Close a stream. litellm leaves the connection open where its own iterator can't close."""
    stream = result.completion_stream
    source = getattr(stream, "streaming_response", None)
    await result.aclose()
    if source is not None and hasattr(source, "aclose"):
        await source.aclose()


def _refusal(exc: Exception, entry: ModelEntry) -> Answer:
    """The provider's refusal in OpenAI's form; our error if the provider never answered."""
    status = getattr(exc, "status_code", None)
    headers = getattr(exc, "litellm_response_headers", None)
    if not isinstance(status, int) or (headers is None and _never_answered(exc)):
        raise _failure(exc, entry, "gave no answer; check 'api_base' and the network") from exc
    error = {
        "message": _message(exc, entry),
        "type": getattr(exc, "type", None) or _type(status),
        "param": getattr(exc, "param", None),
        "code": str(getattr(exc, "code", None) or status),
    }
    body = json.dumps({"error": error}).encode("ascii")
    return _whole(status, body, _passed(headers), entry)


def _never_answered(exc: BaseException | None) -> bool:
    """Whether the status is made up, as litellm does; its exceptions' contexts tell."""
    while exc is not None:
        if isinstance(exc, httpx.TransportError) or type(exc).__name__ in _MADE_UP:
            return True
        exc = exc.__context__
    return False


def _failure(exc: Exception, entry: ModelEntry, what: str) -> UpstreamError:
    where = f"The model {entry.model_name!r} ({entry.litellm_params.model})"
    if type(exc).__name__ == "Timeout":
        return UpstreamTimeout(f"{where} did not answer in time; raise 'timeout'.")
    return UpstreamError(f"{where} {what}.")


def _message(exc: Exception, entry: ModelEntry) -> str:
    """What the provider said. litellm may quote the request, so the key is taken out."""
    said = str(getattr(exc, "message", exc))
    key = entry.litellm_params.api_key
    return said.replace(key.get_secret_value(), "***") if key else said


def _type(status: int) -> str:
    kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    return kinds.get(status, "invalid_request_error" if status < 500 else "server_error")


def _passed(headers: Mapping[str, str] | None) -> list[Header]:
    named = {n.lower().removeprefix("llm_provider-"): v for n, v in (headers or {}).items()}
    return [
        (n.encode("latin-1"), str(v).encode("latin-1", "replace"))
        for n, v in named.items()
        if _PASSED.fullmatch(n)
    ]


def _whole(status: int, body: bytes, more: list[Header], entry: ModelEntry) -> Answer:
    async def chunks() -> AsyncIterator[bytes]:
        yield body

    headers = [*_JSON, (b"content-length", b"%d" % len(body)), *more]
    return Answer(status, headers, chunks(), entry=entry)
