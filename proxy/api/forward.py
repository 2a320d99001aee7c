"""From a visit to the upstream call: which headers go on, which body, and who waits how long."""

from __future__ import annotations

import time
from collections.abc import Mapping

from starlette.requests import Request

from proxy.api.parts import Visit
from proxy.api.steps import where_it_fits
from proxy.messages.body import Chat
from proxy.messages.opening import opening
from proxy.upstream import Answer, Call

_STAYS_HERE = frozenset(
    # Of this connection only (RFC 9110, 7.6.1), or made anew for the next one.
    "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    "transfer-encoding upgrade host content-length expect".split()
)
_KEYS = frozenset({"authorization", "api-key", "x-api-key", "cookie"})

_CODINGS = frozenset({"gzip", "deflate", "identity"})


def headers_for(visit: Visit) -> tuple[tuple[str, str], ...]:
    """The client's headers less those of this connection, ours, and a tenant's key."""
    headers = visit.request.headers
    hidden = _STAYS_HERE | _KEYS if visit.tenant else _STAYS_HERE
    for named in headers.getlist("connection"):  # these are of this connection too
        hidden = hidden.union(name.strip().lower() for name in named.split(","))
    return tuple(
        (name, value)
        for name, value in headers.items()
        if name not in hidden and not name.startswith("x-precis-")
    )


def path_for(request: Request) -> str:
    """The path below ``/v1``, percent-encoded as it came; an alias without it counts the same."""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    path = raw.split(b"?", 1)[0].decode("ascii")
    return path.removeprefix("/v1")


def query_for(request: Request) -> str:
    """The query, percent-encoded as it came, without the question mark."""
    raw: bytes = request.scope["query_string"]
    return raw.decode("latin-1")


async def call_for(
    visit: Visit, chat: Chat, path: str, texts: Mapping[tuple[int, int | None], str]
) -> Call:
    """The request with its new texts, ready for whichever model entry takes it."""
    return Call(
        method="POST",
        path=path,
        query=query_for(visit.request),
        headers=_readable(headers_for(visit)),
        body=chat.body,
        model=chat.model,
        stream=chat.stream,
        render=lambda model, defaults: chat.render(texts, model=model, defaults=defaults),
        allows=visit.tenant.sees if visit.tenant else _any_model,
        conversation=await _conversation(visit, chat),
    )


def _readable(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """The headers, asking for no content coding in which the answer's usage can't be read."""
    return tuple((n, _codings(v) if n == "accept-encoding" else v) for n, v in headers)


def _codings(accepted: str) -> str:
    codings = (coding.strip() for coding in accepted.split(","))
    return ", ".join(c for c in codings if c.partition(";")[0].strip() in _CODINGS) or "identity"


async def _conversation(visit: Visit, chat: Chat) -> str:
    """What the conversation is told by: the caller's own key for prompt caches, or its opening.

    Empty where there is only one entry to choose from.
    """
    parts = visit.parts
    sticky = parts.config.router_settings.sticky
    if not sticky or len(parts.entries.find(chat.model, visit.tenant)) < 2:
        return ""
    for name in ("prompt_cache_key", "conversation"):
        if named := chat.fields.get(name):
            return f"{visit.tenant_name}\n{bytes(named).decode()}"
    place = await where_it_fits(visit, len(chat.body), opening, chat)
    return f"{visit.tenant_name}\n{place}"


def _any_model(model: str) -> bool:
    return True


async def send(visit: Visit, call: Call) -> Answer:
    """The upstream's answer as soon as its head is there; the wait is not counted as ours."""
    started = time.perf_counter()
    try:
        return await visit.parts.pool.send(call)
    finally:
        visit.upstream += time.perf_counter() - started
