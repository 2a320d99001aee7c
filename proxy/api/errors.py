"""Turns every error into the one body that OpenAI's clients know, with an id that is in the log."""

from __future__ import annotations

from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from proxy.api.parts import Parts, new_id
from proxy.errors import CallerError, LimitError, MethodNotAllowed, NotFound, PrecisError

log = structlog.get_logger("precis")


async def on_precis_error(request: Request, exc: Exception) -> Response:
    """Answers with the error's own status and body."""
    assert isinstance(exc, PrecisError)  # noqa: S101  # starlette's signature is wider
    visit = getattr(request.state, "visit", None)
    request_id = visit.id if visit else new_id()
    log.info(
        "refused" if isinstance(exc, CallerError) else "failed",
        id=request_id,
        path=request.url.path,
        status=exc.status,
        code=exc.code,
        param=exc.param,
        tenant=visit.tenant_name if visit else "",
    )
    parts: Parts = request.app.state.parts
    parts.metrics.errors.labels(exc.code).inc()
    if visit and visit.receipt is not None:  # it was decided before it failed
        failed = visit.receipt.answered(exc.status, visit.spent(), error=exc.code)
        parts.receipts.add(failed)
    headers = {"x-precis-request-id": request_id}
    body = body_for(request.url.path, exc)
    answer = JSONResponse(body, status_code=exc.status, headers=headers)
    if isinstance(exc, LimitError):
        answer.headers["retry-after"] = str(exc.retry_after)
        answer.raw_headers.extend(exc.headers)
    return answer


_ANTHROPIC = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
}


def body_for(path: str, exc: PrecisError) -> dict[str, Any]:
    """The error's body; on Anthropic's paths as its clients know it, and still as OpenAI's do."""
    body = exc.body()
    if not path.startswith("/v1/messages"):
        return body
    error = body["error"] | {"type": _ANTHROPIC.get(exc.status, "api_error")}
    return {"type": "error", "error": error}


async def on_http_error(request: Request, exc: Exception) -> Response:
    """Unknown routes and wrong methods, which the router raises."""
    assert isinstance(exc, HTTPException)  # noqa: S101  # starlette's signature is wider
    path = request.url.path
    if exc.status_code == 405:
        allowed = (exc.headers or {}).get("Allow", "another method")
        answer = await on_precis_error(
            request, MethodNotAllowed(f"{request.method} {path} does not exist; use {allowed}.")
        )
        answer.headers["allow"] = allowed
        return answer
    return await on_precis_error(
        request,
        NotFound(
            f"Nothing at {request.method} {path}. OpenAI's routes stand under /v1.",
            code="unknown_url",
        ),
    )
