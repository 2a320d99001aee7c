"""Every OpenAI-compatible provider, and Anthropic: bytes out, bytes back, as they are.

Uses httpx's transport interface and leaves its client out: the client would keep cookies of one
tenant for the next, log URLs, look for redirects, and take as long as everything else together.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from urllib.parse import unquote

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from proxy.config import LiteLLMParams, ModelEntry
from proxy.errors import BadRequest
from proxy.upstream.bases import place
from proxy.upstream.call import Answer, Call, Header, Timeouts
from proxy.upstream.failures import FOREIGN, translate

KEEP_ALIVE = 60.0
"""Seconds that an idle connection is kept; a provider that closes earlier is noticed."""
LARGE = 1 << 18
"""Bytes of a body that are written at once."""

_OUR_OWN = frozenset({"host", "content-length", "transfer-encoding", "expect"})
"""Request headers that belong to the client's connection with us, not to ours upstream."""

_CREDENTIALS = frozenset({"authorization", "api-key", "x-api-key", "cookie"})
"""What a client shows to us; goes no further where the entry has a key of its own."""

_KEY: dict[str, Callable[[str], tuple[str, str]]] = {
    "openai": lambda key: ("authorization", f"Bearer {key}"),
    "anthropic": lambda key: ("x-api-key", key),
}
_VERSION = "2023-06-01"
"""Anthropic's protocol, for clients that do not say which."""

_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""RFC 9110, section 7.6.1."""


class OpenAIHttp:
    """A provider that speaks the caller's protocol. One instance serves all entries."""

    def __init__(self) -> None:
        self._tls = httpx.create_ssl_context()
        self._transport = AiohttpTransport(verify=self._tls, client=self._session)

    async def send(self, call: Call, entry: ModelEntry, timeouts: Timeouts) -> Answer:
        """Send the call as it is, but for the model's name, the key and the entry's headers.

        Raises UpstreamError and UpstreamTimeout as ``Provider`` says, and BadRequest for a path
        that would leave the entry's base.
        """
        where = place(entry, call.path)
        request = _request(
            call.method,
            _url(where.base, call.path, call.query),
            _headers(call.headers, entry.litellm_params, where.protocol),
            call.body_for(where.model, entry.litellm_params.defaults),
            timeouts,
        )
        try:
            response = await self._transport.handle_async_request(request)
        except FOREIGN as exc:
            raise translate(exc, entry, timeouts) from exc
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - for mypy
        return Answer(
            response.status_code,
            _end_to_end(response.headers.raw),
            _chunks(response.stream, entry, timeouts),
            entry=entry,
            close=response.stream.aclose,
        )

    async def aclose(self) -> None:
        """Close all connections, also those in use."""
        await self._transport.aclose()

    def _session(self) -> aiohttp.ClientSession:
        """Made on first use, because it belongs to the running event loop.

        No limit on connections: the callers are limited, and a queue here would only hide it.
        """
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=self._tls, limit=0, keepalive_timeout=KEEP_ALIVE, ttl_dns_cache=60
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            # The client's own go out, or none: an Accept-Encoding that it did not send would
            # bring it an answer that it can't read.
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )


def _request(
    method: str, url: httpx.URL, headers: list[Header], body: bytes, timeouts: Timeouts
) -> httpx.Request:
    extensions = {"timeout": {"connect": timeouts.connect, "read": timeouts.read}}
    if len(body) <= LARGE:
        return httpx.Request(method, url, headers=headers, content=body, extensions=extensions)
    headers.append((b"content-length", b"%d" % len(body)))
    stream = _Pieces(body)
    return httpx.Request(method, url, headers=headers, stream=stream, extensions=extensions)


class _Pieces(httpx.AsyncByteStream):
    """A large body for aiohttp, which would otherwise hold up the event loop with it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), LARGE):
            yield self._body[start : start + LARGE]


def _url(base: str, path: str, query: str) -> httpx.URL:
    if ".." in unquote(path).split("/"):
        raise BadRequest("The path leads out of /v1.")
    return httpx.URL(f"{base}{path}?{query}") if query else _plain_url(base, path)


@functools.lru_cache(maxsize=256)
def _plain_url(base: str, path: str) -> httpx.URL:
    return httpx.URL(base + path)


def _headers(
    client: tuple[tuple[str, str], ...], params: LiteLLMParams, protocol: str
) -> list[Header]:
    own = {name.lower(): value for name, value in params.extra_headers.items()}
    if params.organization is not None:
        own.setdefault("openai-organization", params.organization)
    dropped = _OUR_OWN | own.keys()
    if params.api_key is not None:
        own.setdefault(*_KEY[protocol](params.api_key.get_secret_value()))
        dropped |= _CREDENTIALS
    if protocol == "anthropic" and not any(n.lower() == "anthropic-version" for n, _ in client):
        own.setdefault("anthropic-version", _VERSION)
    passed = ((name, value) for name, value in client if name.lower() not in dropped)
    return [(n.encode("latin-1"), v.encode("latin-1")) for n, v in (*passed, *own.items())]


def _end_to_end(headers: list[Header]) -> list[Header]:
    """Without those that are about the connection itself, and those that it names."""
    named = [v.lower() for n, v in headers if n.lower() == b"connection"]
    dropped = _HOP_BY_HOP.union(*([n.strip() for n in value.split(b",")] for value in named))
    return [(n, v) for n, v in headers if n.lower() not in dropped]


async def _chunks(
    stream: httpx.AsyncByteStream, entry: ModelEntry, timeouts: Timeouts
) -> AsyncIterator[bytes]:
    try:
        async for chunk in stream:
            yield chunk
    except FOREIGN as exc:
        raise translate(exc, entry, timeouts) from exc
