"""The composition root: a configuration becomes an application. Nothing is wired anywhere else."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from proxy.api import (
    chat,
    completions,
    compress,
    messages,
    models,
    operations,
    passthrough,
    responses,
)
from proxy.api.errands import Errands
from proxy.api.errors import on_http_error, on_precis_error
from proxy.api.guard import keep_up
from proxy.api.parts import Parts, encoding_of_entry
from proxy.api.recall import Recall
from proxy.api.shield import Shield
from proxy.compress import Compressor
from proxy.compress.open_cache import open_cache
from proxy.compress.scheduler import Scheduler
from proxy.config import Config
from proxy.config_server import LedgerSettings
from proxy.errors import PrecisError
from proxy.guard import Keeper, open_store
from proxy.ledger import Metrics, open_receipts
from proxy.prices import price_of
from proxy.routing import Entries, Router
from proxy.tenants import Gatekeeper, Tenants
from proxy.tokens import DEFAULT_ENCODING
from proxy.upstream import Pool

# With a slash at its end each would be passed through, past the policies.
_CHAT = [f"{base}/chat/completions{end}" for base in ("/v1", "") for end in ("", "/")]
_SURFACES = {
    "/v1/completions": completions.completions,
    "/v1/responses": responses.responses,
    "/v1/messages": messages.messages,
    "/v1/messages/count_tokens": messages.count_tokens,
    "/v1/compress": compress.compress_messages,
}
_ALL = ["GET", "POST", "PUT", "PATCH", "DELETE"]

ROUTES = [
    *(Route(path, chat.chat_completions, methods=["POST"]) for path in _CHAT),
    *(
        Route(path + end, endpoint, methods=["POST"])
        for path, endpoint in _SURFACES.items()
        for end in ("", "/")
    ),
    # What a provider has stored is listed there.
    *(Route(path, passthrough.pass_through, methods=["GET"]) for path in _CHAT),
    Route("/v1/models", models.list_models, methods=["GET"]),
    Route("/v1/models/{id:path}", models.get_model, methods=["GET"]),
    Route("/v1/receipts/{id}", operations.receipt, methods=["GET"]),
    Route("/health/liveliness", operations.liveliness, methods=["GET"]),
    Route("/health/readiness", operations.readiness, methods=["GET"]),
    Route("/metrics", operations.metrics, methods=["GET"]),
    # Our own paths take no other method: without this they would fall through to the upstream.
    *(Route(path, passthrough.wrong_method, methods=_ALL) for path in _CHAT),
    *(
        Route(path + end, passthrough.wrong_method, methods=_ALL)
        for path in _SURFACES
        for end in ("", "/")
    ),
    Route("/v1/models", passthrough.wrong_method, methods=_ALL),
    Route("/v1/models/{id:path}", passthrough.wrong_method, methods=_ALL),
    Route("/v1/receipts/{id}", passthrough.wrong_method, methods=_ALL),
    Route("/v1/{path:path}", passthrough.pass_through, methods=_ALL),
]


@dataclass(frozen=True)
class Worker:
    """Which of a server's workers this is, and where they keep what they share."""

    index: int
    folder: Path

    @property
    def metrics(self) -> Path:
        """prometheus_client's files."""
        return self.folder

    @property
    def limits(self) -> Path:
        """The tenants' counts."""
        return self.folder / "limits"

    @property
    def receipts(self) -> Path:
        """Receipts, where the configuration names no place for them."""
        return self.folder / "receipts.sqlite"


def encodings(config: Config) -> set[str]:
    """The encodings that the configured models count with, and the one for all others."""
    return {DEFAULT_ENCODING, *(encoding_of_entry(entry) for entry in config.model_list)}


def build(
    config: Config,
    compressor: Compressor | None = None,
    *,
    cache: Path | None = None,
    worker: Worker | None = None,
) -> Starlette:
    """The application. Loads the classifier, so that it is there before the first request.

    ``cache`` is the directory for what can be made again: a classifier exported to ONNX, scores.
    Without it scores are kept in memory alone, unless the configuration names a place.
    ``worker`` says that others serve beside this one.

    Raises CheckpointError if the classifier cannot be used, ConfigError if a store can't.
    """
    compressor = compressor or _load(config, cache)
    compressor.warm(encodings(config))
    for entry in config.model_list:
        price_of(entry)  # reads the list of prices, which no request should wait for
    parts = _wired(config, compressor, cache, worker)
    app = Starlette(
        routes=ROUTES,
        middleware=[Middleware(Shield)],
        exception_handlers={PrecisError: on_precis_error, HTTPException: on_http_error},
        lifespan=partial(_lifespan, parts),
    )
    app.router.redirect_slashes = False  # a redirect is no answer that OpenAI's clients know
    app.state.parts = parts
    return app


def _load(config: Config, cache: Path | None) -> Compressor:
    settings = config.compressor
    return Compressor.load(
        settings.model,
        engine=settings.engine,
        precision=settings.precision,
        threads=settings.threads or _share_of_cores(config),
        cache=cache,
    )


def _wired(
    config: Config, compressor: Compressor, cache: Path | None, worker: Worker | None
) -> Parts:
    settings = config.compressor
    entries = Entries(config)
    isolated = settings.cache.scope == "tenant"
    guard = Keeper(config, open_store(guard_file(config, cache, worker)))
    return Parts(
        config=config,
        tenants=Tenants(config),
        gatekeeper=_gatekeeper(config, worker),
        entries=entries,
        router=Router(config, guard.raised),
        scheduler=Scheduler(
            compressor,
            max_queue_tokens=settings.max_queue_tokens,
            cache=open_cache(settings.cache, compressor.fingerprint, cache),
        ),
        recall=Recall(int(settings.cache.memory_mb * 500_000), isolated=isolated),
        pool=Pool(config.model_list, config.router_settings, entries.find),
        receipts=open_receipts(_ledger(config, worker)),
        metrics=Metrics(entries.names(), worker.metrics if worker else None),
        guard=guard,
        errands=Errands(),
        started=int(time.time()),
    )


@asynccontextmanager
async def _lifespan(parts: Parts, app: Starlette) -> AsyncIterator[None]:
    if parts.guard.on:
        parts.errands.start(keep_up(parts))
    yield
    await parts.errands.aclose()
    await parts.pool.aclose()
    parts.scheduler.close()
    await asyncio.to_thread(parts.receipts.close)


def guard_file(config: Config, cache: Path | None, worker: Worker | None = None) -> Path | None:
    """Where the quality guard's states are kept; None for memory, or if there is no guard."""
    if not any(route.guard for route in config.routes):
        return None
    if config.ledger.store == "sqlite" and config.ledger.path:
        receipts = Path(config.ledger.path)
        return receipts.with_name(f"{receipts.stem}.guard.sqlite")
    folder = cache or (worker.folder if worker else None)
    return folder / "guard.sqlite" if folder else None


def _share_of_cores(config: Config) -> int:
    return max(1, (os.cpu_count() or 1) // config.server.workers)


def _gatekeeper(config: Config, worker: Worker | None) -> Gatekeeper:
    if worker is None:
        return Gatekeeper(config.tenants)
    return Gatekeeper(
        config.tenants, file=worker.limits, worker=worker.index, workers=config.server.workers
    )


def _ledger(config: Config, worker: Worker | None) -> LedgerSettings:
    """What the file says; but in memory, a worker would not find another's receipts."""
    if worker is None or config.ledger.store != "memory":
        return config.ledger
    return config.ledger.model_copy(update={"store": "sqlite", "path": str(worker.receipts)})
