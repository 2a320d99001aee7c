"""Legacy completions: a prompt, or several, instead of messages."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from proxy.api.chat import complete
from proxy.api.parts import visit
from proxy.api.steps import read_chat
from proxy.messages.completion import parse_completion


async def completions(request: Request) -> Response:
    """``POST /v1/completions``, streaming or not."""
    now = visit(request)
    return await complete(now, await read_chat(now, parse_completion), "/completions")
