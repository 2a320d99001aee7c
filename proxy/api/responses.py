"""OpenAI's Responses: what goes in is compressed, what is stored goes by its id untouched."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from proxy.api.chat import complete
from proxy.api.parts import visit
from proxy.api.steps import read_chat
from proxy.messages.responses import parse_responses


async def responses(request: Request) -> Response:
    """``POST /v1/responses``, streaming or not."""
    now = visit(request)
    return await complete(now, await read_chat(now, parse_responses), "/responses")
