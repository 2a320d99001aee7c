"""The outermost layer: a client who left cancels its request, a bug becomes an answer.

Plain ASGI, because it stands in the way of every chunk.
"""

from __future__ import annotations

import asyncio
import traceback
from typing import cast

import structlog
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxy.errors import PrecisError

log = structlog.get_logger("precis")


class Shield:
    """Wraps the application."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def note_start(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        watched = _Watched(receive)
        try:
            await self.app(scope, watched.receive, note_start)
        except asyncio.CancelledError:
            if not watched.gone:
                raise
            log.info("client gone", path=scope["path"])
        except Exception as exc:  # the last resort: nobody else has an answer
            _report(scope, exc)
            if not started:
                error = PrecisError("Precis failed on this request; its log says where.")
                await JSONResponse(error.body(), status_code=500)(scope, receive, send)
        finally:
            watched.stop()


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


def _report(scope: Scope, exc: Exception) -> None:
    # Where, but not what: an exception's message may quote the prompt.
    frames = traceback.extract_tb(exc.__traceback__)[-6:]
    where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    log.error("bug", path=scope["path"], error=type(exc).__name__, where=where)
