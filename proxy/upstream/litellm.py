"""Every provider that does not speak OpenAI's protocol: chat completions through litellm.

litellm is imported on first use, in a thread: it takes seconds and 165 MB, and most installations
never need it. The only file that knows it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any

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
_PASSED = ("retry-after", "retry-after-ms", "x-should-retry", "request-id", "x-request-id")


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
        if call.stream:
            events = _events(result, error, entry)
            return Answer(200, list(_EVENTS), events, entry=entry, close=result.aclose)
        return _whole(200, result.model_dump_json().encode(), entry)

    async def aclose(self) -> None:
        """Close litellm's connections, if it was ever loaded."""
        litellm = sys.modules.get("litellm")
        if litellm is not None:
            await litellm.close_litellm_async_clients()


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
    given = {name: value for name, value in ours.items() if value}
    return {**params.defaults, **asked, **given, **waits}


def _asked(call: Call, entry: ModelEntry) -> dict[str, Any]:
    """The client's own fields, without the entry's defaults: what is in here is not trusted."""
    asked: dict[str, Any] = json.loads(call.body_for(entry.litellm_params.model, {}))
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


def _refusal(exc: Exception, entry: ModelEntry) -> Answer:
    """The provider's refusal in OpenAI's form, or our error if the provider never answered."""
    status = getattr(exc, "status_code", None)
    if not isinstance(status, int) or type(exc).__name__ in ("Timeout", "APIConnectionError"):
        raise _failure(exc, entry, "can't be reached; check 'api_base' and the network") from exc
    body = {
        "message": _message(exc, entry),
        "type": getattr(exc, "type", None) or _type(status),
        "param": getattr(exc, "param", None),
        "code": str(getattr(exc, "code", None) or status),
    }
    answer = _whole(status, json.dumps({"error": body}).encode("ascii"), entry)
    answer.headers += _passed(exc)
    return answer


def _failure(exc: Exception, entry: ModelEntry, what: str) -> UpstreamError:
    where = f"The model {entry.model_name!r} ({entry.litellm_params.model})"
    if type(exc).__name__ in ("Timeout", "APITimeoutError"):
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


def _passed(exc: Exception) -> list[Header]:
    """The provider's word on when to come back."""
    headers: Mapping[str, str] = getattr(getattr(exc, "response", None), "headers", None) or {}
    return [(n.encode(), headers[n].encode("latin-1")) for n in _PASSED if n in headers]


def _whole(status: int, body: bytes, entry: ModelEntry) -> Answer:
    async def chunks() -> AsyncIterator[bytes]:
        yield body

    headers = [*_JSON, (b"content-length", b"%d" % len(body))]
    return Answer(status, headers, chunks(), entry=entry)
