"""What operators ask: health, metrics, receipts."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from proxy.api.parts import Parts, visit
from proxy.api.recall import state_of
from proxy.errors import Unauthorized
from proxy.ledger.receipts import encode
from proxy.tenants.keys import fits


async def liveliness(request: Request) -> Response:
    """The process answers."""
    return JSONResponse({"status": "alive"})


async def readiness(request: Request) -> Response:
    """The classifier is loaded and the server takes requests."""
    parts: Parts = request.app.state.parts
    return JSONResponse(
        {
            "status": "ready",
            "compressor": parts.scheduler.compressor.name,
            "models": len(parts.entries.names()),
        }
    )


async def metrics(request: Request) -> Response:
    """Prometheus text; it names tenants and models, so it may need a key of its own."""
    parts: Parts = request.app.state.parts
    wanted = parts.config.server.metrics_key
    if wanted is not None and not fits(request.headers.get("authorization"), wanted):
        raise Unauthorized(
            "Metrics need the key whose hash is server.metrics_key: 'Authorization: Bearer KEY'.",
            code="invalid_metrics_key",
        )
    parts.metrics.cache.follow(state_of(parts.recall, parts.scheduler.cache))
    parts.metrics.queue.set(parts.scheduler.waiting_tokens)
    text = await asyncio.to_thread(parts.metrics.render)  # those of other workers are in files
    return Response(text, media_type=parts.metrics.content_type)


async def receipt(request: Request) -> Response:
    """One receipt, for its own tenant only."""
    now = visit(request)
    found = await now.parts.receipts.get(request.path_params["id"], now.tenant_name)
    body = {"object": "precis.receipt", **asdict(found), "tokens_saved": found.saved}
    return Response(encode(body), media_type="application/json")
