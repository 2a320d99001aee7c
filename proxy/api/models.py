"""``GET /v1/models`` and ``/v1/models/{id}``: the public names that the caller may use."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from proxy.api.parts import Parts, visit


async def list_models(request: Request) -> Response:
    """The public names in the order of the file."""
    now = visit(request)
    names = now.parts.entries.names(now.tenant)
    return JSONResponse({"object": "list", "data": [_model(now.parts, n) for n in names]})


async def get_model(request: Request) -> Response:
    """One model. Raises NotFound for a name that is not there, Forbidden for one not allowed."""
    now = visit(request)
    name = request.path_params["id"]
    now.parts.entries.find(name, now.tenant)
    if now.tenant:
        now.tenant.may_use(name)
    return JSONResponse(_model(now.parts, name))


def _model(parts: Parts, name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": parts.started, "owned_by": "precis"}
