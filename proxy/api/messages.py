"""Anthropic's Messages, for clients that speak nothing else."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from proxy.api.chat import complete
from proxy.api.forward import call_for, send
from proxy.api.parts import visit
from proxy.api.steps import read_chat
from proxy.messages.anthropic import parse_messages
from proxy.reply import Relay, visit_headers


async def messages(request: Request) -> Response:
    """``POST /v1/messages``, streaming or not."""
    now = visit(request)
    return await complete(now, await read_chat(now, parse_messages), "/messages")


async def count_tokens(request: Request) -> Response:
    """``POST /v1/messages/count_tokens``: the provider counts the messages as they came."""
    now = visit(request)
    asked = await read_chat(now, parse_messages)
    if now.tenant:
        now.tenant.may_use(asked.model)
    now.parts.entries.find(asked.model, now.tenant)
    answer = await send(now, await call_for(now, asked, "/messages/count_tokens", {}))
    return Relay(answer, visit_headers(now.id, now.overhead_ms()))
