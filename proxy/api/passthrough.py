"""Any other ``/v1/...`` request: forwarded unchanged, answered unchanged."""

from __future__ import annotations

import time

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from proxy.api.forward import headers_for, path_for
from proxy.api.parts import read_body, visit
from proxy.reply import Relay
from proxy.upstream import Call


class _Named(msgspec.Struct):
    model: str = ""


async def pass_through(request: Request) -> Response:
    """Embeddings, files, images, ...: to the entry of the body's model, else to the first one.

    A tenant with an allow-list may only name models that are on it.
    """
    now = visit(request)
    body = await read_body(now)
    model = _model_in(request, body)
    if now.tenant and model:
        now.tenant.may_use(model)
    call = Call(
        method=request.method,
        path=path_for(request),
        query=request.url.query,
        headers=headers_for(now),
        body=body,
        model=model,
        stream=False,
    )
    started = time.perf_counter()
    answer = await now.parts.pool.forward(call)
    now.upstream = time.perf_counter() - started
    ours = {"request-id": now.id, "overhead-ms": f"{now.overhead_ms():.2f}"}
    return Relay(answer, [(f"x-precis-{k}".encode(), v.encode()) for k, v in ours.items()])


async def wrong_method(request: Request) -> Response:
    """Answers 405, as the router does: one of our own paths, with a method it does not have."""
    path = request.url.path.rstrip("/")
    allowed = "POST" if path.endswith(("/completions", "/compress")) else "GET"
    raise HTTPException(405, headers={"Allow": allowed})


def _model_in(request: Request, body: bytes) -> str:
    if not request.headers.get("content-type", "").startswith("application/json"):
        return ""
    try:
        return msgspec.json.decode(body, type=_Named).model
    except msgspec.DecodeError:
        return ""  # not ours to judge: the upstream will say what is wrong with it
