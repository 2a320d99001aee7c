"""The least that a proxy in this language can do: starlette and httpx, bytes in, bytes out.

It keeps no receipt, checks no key and knows one upstream: a floor, not a contender.
``python -m tests.bench.bare PORT UPSTREAM_PORT``.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import httpx
import uvicorn
from httpx_aiohttp import AiohttpTransport
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route


def build(upstream_port: int) -> Starlette:
    """Relays chat completions to the upstream on that port."""
    client = httpx.AsyncClient(
        transport=AiohttpTransport(), base_url=f"http://127.0.0.1:{upstream_port}"
    )

    async def chat(request: Request) -> Response:
        headers = {"content-type": "application/json"}
        asked = client.build_request("POST", request.url.path, content=await request.body())
        asked.headers.update(headers)
        answer = await client.send(asked, stream=True)
        kind = answer.headers["content-type"]
        if not kind.startswith("text/event-stream"):
            return Response(await answer.aread(), answer.status_code, media_type=kind)

        async def chunks() -> AsyncIterator[bytes]:
            async for chunk in answer.aiter_raw():
                yield chunk

        return StreamingResponse(chunks(), answer.status_code, media_type=kind)

    async def ready(request: Request) -> Response:
        return Response()

    return Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/health/readiness", ready),
        ]
    )


if __name__ == "__main__":
    port, upstream_port = int(sys.argv[1]), int(sys.argv[2])
    uvicorn.run(build(upstream_port), port=port, access_log=False, log_level="warning")
