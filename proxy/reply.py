"""The way back: the upstream's answer with our headers, its bytes relayed as they come."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from proxy.errors import UpstreamError
from proxy.ledger import Receipt, Usage
from proxy.ledger.usage import UsageReader
from proxy.upstream import Answer

log = structlog.get_logger("precis")


def decision_headers(receipt: Receipt) -> list[tuple[bytes, bytes]]:
    """The ``x-precis-`` headers that tell what was done. Token counts only where we counted."""
    pairs = {
        "request-id": receipt.id,
        "decision": receipt.decision,
        "reason": receipt.reason,
        "policy": receipt.policy,
        "ms": f"{receipt.ms.get('compress', 0.0):.2f}",
        "overhead-ms": f"{receipt.ms.get('overhead', 0.0):.2f}",
        "cache": receipt.cache,
    }
    if receipt.tokens_before is not None:
        pairs["tokens-before"] = str(receipt.tokens_before)
        pairs["tokens-after"] = str(receipt.tokens_after)
        pairs["tokens-saved"] = str(receipt.saved)
    return [(f"x-precis-{k}".encode(), v.encode("latin-1", "replace")) for k, v in pairs.items()]


def visit_headers(request_id: str, overhead_ms: float) -> list[tuple[bytes, bytes]]:
    """The ``x-precis-`` headers of an answer for which nothing had to be decided."""
    ours = {"request-id": request_id, "overhead-ms": f"{overhead_ms:.2f}"}
    return [(f"x-precis-{k}".encode(), v.encode()) for k, v in ours.items()]


class Relay(Response):
    """Sends an upstream's answer on, chunk by chunk, and tells the ledger when it has ended."""

    def __init__(
        self,
        answer: Answer,
        headers: list[tuple[bytes, bytes]],
        ended: Callable[[bool, Usage | None], None] | None = None,
    ) -> None:
        self.answer = answer
        self.status_code = answer.status
        # An upstream that is a Precis too has said what it did; this answer tells what we did.
        upstream = [pair for pair in answer.headers if not pair[0].lower().startswith(b"x-precis-")]
        self.raw_headers = [*upstream, *headers]
        self.background = None
        self._ended = ended
        self._reader: UsageReader | None = None
        if ended is not None and answer.status == 200:
            self._reader = UsageReader(answer.content_encoding)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Once the first byte is out nothing else can be said: a cut answer stays a cut answer."""
        whole = False
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            async for chunk in self.answer.aiter():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                if self._reader is not None:
                    self._reader.feed(chunk)
            await send({"type": "http.response.body", "body": b""})
            whole = True
        except UpstreamError as exc:
            # Returning without the last message makes the server close the connection, which is
            # how the client learns that the answer is not whole.
            log.warning("cut", code=exc.code, message=exc.message)
        finally:
            await self.answer.aclose()
            if self._ended is not None:
                self._ended(whole, self._reader.usage() if self._reader else None)
