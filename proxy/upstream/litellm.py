"""Every provider that does not speak the caller's protocol: translated by litellm.

litellm is imported on first use, in a thread: it takes seconds and 165 MB, and most installations
never need it. The only file that knows it.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import operator
import os
import re
import sys
import warnings
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx

from proxy.config_upstreams import LiteLLMParams, ModelEntry
from proxy.errors import BadRequest, UpstreamError, UpstreamTimeout
from proxy.upstream.bases import is_messages
from proxy.upstream.call import Answer, Call, Header, Timeouts
from proxy.upstream.litellm_shapes import Shape, shape, whole

_OWN_LOGIN = ("bedrock", "sagemaker", "vertex_ai")
"""Providers for which a client's bearer token would take the place of the machine's login."""

_JSON: list[Header] = [(b"content-type", b"application/json")]
_EVENTS: list[Header] = [(b"content-type", b"text/event-stream; charset=utf-8")]
_MADE_UP = ("Timeout", "APIConnectionError")
"""litellm's errors, by name because they are not imported yet, that come without an answer."""

_LAYERS = ("completion_stream", "streaming_response", "litellm_custom_stream_wrapper")
"""Where litellm's streams hold the stream that they read."""

_PASSED = re.compile(r"retry-after(-ms)?|x-should-retry|(x-)?request-id|.*ratelimit.*")
"""Headers of the provider that the client gets: rate limits, and what to quote to support."""


class LiteLLM:
    """A provider that translates to and from some hundred others."""

    async def send(self, call: Call, entry: ModelEntry, timeouts: Timeouts) -> Answer:
        """The answer in the caller's form, or the provider's refusal with its status.

        Raises UpstreamError and UpstreamTimeout as ``Provider`` says, BadRequest for a path or a
        field that litellm has no place for.
        """
        kind = _shape(call, entry)
        arguments = _arguments(call, kind, entry, timeouts)
        litellm, error = await asyncio.to_thread(_load)
        try:
            result = await operator.attrgetter(kind.function)(litellm)(**arguments)
        except error as exc:
            return _refusal(exc, entry, call.path)
        hidden = getattr(result, "_hidden_params", None) or {}
        headers = _passed(hidden.get("additional_headers"))
        if call.stream:
            events, close = _events(result, kind, error, entry), functools.partial(_hang_up, result)
            return Answer(200, [*_EVENTS, *headers], events, entry=entry, close=close)
        return _whole(200, whole(result), headers, entry)

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


def _shape(call: Call, entry: ModelEntry) -> Shape:
    found = shape(call.path)
    if found is None:
        raise BadRequest(
            f"The model {entry.model_name!r} ({entry.litellm_params.model}) is reached through "
            f"litellm, which does not take /v1{call.path[:100]}.",
            param="model",
        )
    return found


def _arguments(call: Call, kind: Shape, entry: ModelEntry, timeouts: Timeouts) -> dict[str, Any]:
    params = entry.litellm_params
    asked = _asked(call, kind, entry)
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
    return {**params.defaults, **asked, **given, **waits, **dict(kind.more)}


def _asked(call: Call, kind: Shape, entry: ModelEntry) -> dict[str, Any]:
    """The client's own fields, without the entry's defaults: what is in here is not trusted."""
    try:
        asked = json.loads(call.body_for(entry.litellm_params.model, {}))
    except ValueError:
        asked = None
    if not isinstance(asked, dict):
        # Without a cause, which would carry the body into the log.
        raise BadRequest("The body is no JSON object.", code="invalid_json")
    for name in asked:
        if name not in kind.fields:
            raise BadRequest(
                f"The field {name[:100]!r} can't be passed on to the model {entry.model_name!r} "
                f"({entry.litellm_params.model}); leave it out.",
                param=name[:100],
            )
    _check_asked(asked, entry)
    return asked


def _check_asked(asked: dict[str, Any], entry: ModelEntry) -> None:
    """Refuse what litellm would fail on, or would do more with than to pass it on."""
    prompt, tools = asked.get("prompt", ""), asked.get("tools")
    if not isinstance(prompt, str):
        raise BadRequest(
            f"The model {entry.model_name!r} takes one prompt at a time, as a string.",
            param="prompt",
        )
    kinds = [tool.get("type") for tool in tools or () if isinstance(tool, dict)]
    if "mcp" in kinds:
        raise BadRequest(
            f"The model {entry.model_name!r} can't call MCP servers; leave that tool out.",
            param="tools",
        )


def _bearer(call: Call, params: LiteLLMParams) -> str | None:
    """The client's own key, which goes on where the entry has none."""
    if params.model.partition("/")[0] in _OWN_LOGIN:
        return None
    shown = next((value for name, value in call.headers if name.lower() == "authorization"), "")
    scheme, _, key = shown.partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


async def _events(
    result: AsyncIterator[Any], kind: Shape, error: type[Exception], entry: ModelEntry
) -> AsyncIterator[bytes]:
    try:
        async for chunk in result:
            yield kind.event(chunk)
    except error as exc:
        # The status is out already, so whatever it is, the answer breaks off here.
        raise _failure(exc, entry, "broke off in the middle of its answer") from exc
    if kind.end:
        yield kind.end


async def _hang_up(result: Any) -> None:
    """Close a stream. litellm leaves the connection open where its own iterator can't close."""
    layers = [result]
    for layer in layers:  # grows while it is gone through
        inner = [getattr(layer, name, None) for name in _LAYERS]
        layers += [part for part in inner if part is not None and part not in layers]
    for layer in layers:
        if hasattr(layer, "aclose"):
            await layer.aclose()


def _refusal(exc: Exception, entry: ModelEntry, path: str) -> Answer:
    """The provider's refusal in the caller's form; our error if the provider never answered."""
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
    whose = {"type": "error"} if is_messages(path) else {}
    body = json.dumps({**whose, "error": error}).encode("ascii")
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
