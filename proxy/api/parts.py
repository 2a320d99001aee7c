"""What the endpoints are given by ``app.py``, and what every request brings with it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from starlette.requests import Request

from proxy.api.errands import Errands
from proxy.api.recall import Recall
from proxy.compress.scheduler import Scheduler
from proxy.config import Config
from proxy.config_tenants import Tenant
from proxy.config_upstreams import ModelEntry
from proxy.errors import BadRequest, NotFound, TooLarge
from proxy.guard import Keeper
from proxy.ledger import Metrics, Receipt, Receipts
from proxy.routing import Entries, Router
from proxy.tenants import Admission, Gatekeeper, Tenants
from proxy.tokens import encoding_for
from proxy.upstream import Pool


@dataclass(frozen=True)
class Parts:
    """The wired parts of one server."""

    config: Config
    tenants: Tenants
    gatekeeper: Gatekeeper
    entries: Entries
    router: Router
    scheduler: Scheduler
    recall: Recall
    pool: Pool
    receipts: Receipts
    metrics: Metrics
    guard: Keeper
    errands: Errands
    started: int
    """Seconds since the epoch."""


def new_id() -> str:
    """An id for a request, in its answer's headers, its receipt and the log."""
    return "req_" + secrets.token_hex(12)


@dataclass
class Visit:
    """One request's id, caller and clock."""

    request: Request
    id: str = field(default_factory=new_id)
    started: float = field(default_factory=time.perf_counter)
    upstream: float = 0.0
    """Seconds spent waiting for the upstream's headers."""
    tenant: Tenant | None = None
    admission: Admission | None = None
    """That it was let in under its tenant's limits, if there are any."""
    tokens: int | None = None
    """Tokens as they went upstream, and the answer's if that tells, once they have been counted."""
    receipt: Receipt | None = None
    """What was decided, until it is filed; an error that ends the request is filed with it."""

    @cached_property
    def parts(self) -> Parts:
        parts: Parts = self.request.app.state.parts
        return parts

    @property
    def tenant_name(self) -> str:
        return self.tenant.name if self.tenant else ""

    @property
    def endpoint(self) -> str:
        """The path of ours that is asked, below ``/v1``, however it was written."""
        path: str = self.request.scope["path"]  # without building the whole URL
        return path.removeprefix("/v1").rstrip("/")

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """The request's, by their names in lower case; of several the first."""
        return dict(reversed(self.request.headers.items()))

    def overhead_ms(self) -> float:
        """Milliseconds since the start that were not spent waiting for the upstream."""
        return 1000 * (time.perf_counter() - self.started - self.upstream)

    def spent(self) -> dict[str, float]:
        """Milliseconds of ours and of the upstream until now."""
        return {"overhead": self.overhead_ms(), "upstream": 1000 * self.upstream}


def encoding_of(parts: Parts, model: str) -> str:
    """Name of the encoding that the model's upstream counts with, as far as we know it."""
    try:
        return encoding_of_entry(parts.entries.find(model)[0])
    except NotFound:
        return encoding_for(model)


def encoding_of_entry(entry: ModelEntry) -> str:
    """What ``model_info.encoding`` says, or else the model's name."""
    return entry.model_info.encoding or encoding_for(entry.litellm_params.model)


def visit(request: Request) -> Visit:
    """Begin a visit: give the request its id, which errors carry too, and find its tenant.

    Raises Unauthorized.
    """
    begun = Visit(request)
    request.state.visit = begun
    headers = begun.headers
    begun.tenant = begun.parts.tenants.authenticate(
        headers.get("authorization"), headers.get("api-key"), headers.get("x-api-key")
    )
    return begun


async def read_body(visit: Visit) -> bytes:
    """The whole body, let in under the tenant's limits.

    Raises TooLarge as soon as it is known to be over the server's limit, LimitError (429) when
    the tenant has to wait.
    """
    limit = int(visit.parts.config.server.max_body_mb * 1_000_000)
    headers = visit.headers
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise BadRequest("Send the body without Content-Encoding; compressed bodies are not read.")
    declared = headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    async for chunk in visit.request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
    visit.admission = visit.parts.gatekeeper.enter(visit.tenant, size)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The body is over {limit / 1_000_000:g} MB; send less, or have server.max_body_mb raised."
    )
