"""The outermost layer: a client who left cancels its request, a bug becomes an answer.

Plain ASGI, because it stands in the way of every chunk.
"""

from __future__ import annotations

import asyncio
import traceback
from typing import cast

import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxy.api.errors import body_for
from proxy.api.parts import Visit, new_id
from proxy.errors import PrecisError

log = structlog.get_logger("precis")

_GONE = 499
"""nginx's status for a client that closed the connection; only ledgers see it."""


class Shield:
    """Wraps the application."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def note(message: Message) -> None:
            nonlocal started
            started = True
            if message["type"] == "http.response.start":
                _tell_limits(scope, message)
            elif message["type"] == "http.response.body" and not message.get("more_body", False):
                # The server says "disconnect" after the last message too, and what is left to do
                # then, such as the receipt, must not be cancelled.
                watched.stop()
            await send(message)

        watched = _Watched(receive)
        try:
            await self.app(scope, watched.receive, note)
        except ClientDisconnect:  # before its body was over
            log.info("client gone", path=scope["path"])
        except asyncio.CancelledError:
            if not watched.gone:
                raise
            log.info("client gone", path=scope["path"])
            _file(scope)
        except Exception as exc:  # the last resort: nobody else has an answer
            request_id = _id_of(scope)
            _report(scope, exc, request_id)
            if not started:
                error = PrecisError("Precis failed on this request; its log says where.")
                headers = {"x-precis-request-id": request_id}
                answer = JSONResponse(
                    body_for(scope["path"], error), status_code=500, headers=headers
                )
                await answer(scope, receive, send)
        finally:
            watched.stop()
            _leave(scope)


class _Watched:
    """Passes the body on and then waits for the client to leave, to cancel what it asked for."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._task = cast("asyncio.Task[None]", asyncio.current_task())
        self._watch: asyncio.Task[None] | None = None
        self.gone = False

    async def receive(self) -> Message:
        if self._watch is not None:
            await asyncio.Event().wait()  # the body is over; leaving is noticed by the watch
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self._watch = asyncio.create_task(self._wait())
        return message

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self._task.cancel()

    def stop(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        if self.gone:
            self._task.uncancel()


def _visit(scope: Scope) -> Visit | None:
    visit = scope.get("state", {}).get("visit")
    return visit if isinstance(visit, Visit) else None


def _tell_limits(scope: Scope, message: Message) -> None:
    """What is left of the tenant's limits, in the place of what the upstream says of ours."""
    visit = _visit(scope)
    if visit and visit.admission:
        passed = (pair for pair in message["headers"] if not pair[0].startswith(b"x-ratelimit-"))
        message["headers"] = [*passed, *visit.admission.headers]


def _leave(scope: Scope) -> None:
    visit = _visit(scope)
    if visit and visit.admission:
        visit.parts.gatekeeper.leave(visit.admission, visit.tokens)
        visit.admission = None


def _file(scope: Scope) -> None:
    """Files the receipt of a request whose answer nobody waited for, if it was decided."""
    visit = _visit(scope)
    if visit and visit.receipt is not None:
        gone = visit.receipt.answered(_GONE, visit.spent(), error="client_gone")
        visit.parts.receipts.add(gone)


def _id_of(scope: Scope) -> str:
    visit = _visit(scope)
    return visit.id if visit else new_id()


def _report(scope: Scope, exc: Exception, request_id: str) -> None:
    # Where, but not what: an exception's message may quote the prompt.
    frames = traceback.extract_tb(exc.__traceback__)[-6:]
    where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    log.error("bug", id=request_id, path=scope["path"], error=type(exc).__name__, where=where)
