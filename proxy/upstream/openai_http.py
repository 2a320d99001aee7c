"""Every OpenAI-compatible provider, and Anthropic: bytes out, bytes back, as they are.

On aiohttp itself: httpx's request, response and exceptions around the same connection took a tenth
of all our time, and its client would keep cookies of one tenant for the next and log URLs.
"""

from __future__ import annotations

import functools
import re
from collections.abc import AsyncIterable, AsyncIterator, Callable
from urllib.parse import unquote

import aiohttp
import httpx
from multidict import CIMultiDict
from yarl import URL

from proxy.config_upstreams import LiteLLMParams, ModelEntry
from proxy.errors import BadRequest
from proxy.upstream.bases import place
from proxy.upstream.call import Answer, Call, Header, Timeouts
from proxy.upstream.failures import FOREIGN, translate
from proxy.upstream.hide_key import without_key

KEEP_ALIVE = 60.0
"""Seconds that an idle connection is kept; a provider that closes earlier is noticed."""
LARGE = 1 << 18
"""Bytes of a body that are written at once."""

_OUR_OWN = frozenset({"host", "content-length", "transfer-encoding", "expect"})
"""Request headers that belong to the client's connection with us, not to ours upstream."""

_UNSAFE = re.compile(r"""[^!-~]|["<>\\^`{|}]|%(?![0-9A-Fa-f]{2})""")
"""What no address may hold (RFC 3986)."""

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
        self._tls = httpx.create_ssl_context()  # with the authorities that httpx's users expect
        self._open: aiohttp.ClientSession | None = None

    async def send(self, call: Call, entry: ModelEntry, timeouts: Timeouts) -> Answer:
        """Send the call as it is, but for the model's name, the key and the entry's headers.

        Raises UpstreamError and UpstreamTimeout as ``Provider`` says, and BadRequest for a path
        that would leave the entry's base.
        """
        where = place(entry, call.path)
        url = _url(where.base, call.path, call.query)
        headers = _headers(call.headers, entry.litellm_params, where.protocol)
        body = call.body_for(where.model, entry.litellm_params.defaults)
        if self._open is None:
            self._open = self._session()
        try:
            response = await self._open.request(
                call.method,
                url,
                headers=headers,
                data=_payload(body, headers),
                allow_redirects=False,
                timeout=_timeout(timeouts),
            )
        except FOREIGN as exc:
            raise translate(exc, entry, timeouts) from exc
        back, chunks = (
            _end_to_end(list(response.raw_headers)),
            _chunks(response, entry, timeouts),
        )
        own = entry.litellm_params.api_key
        if response.status >= 400 and own is not None:
            back, chunks = without_key(back, chunks, own.get_secret_value())
        return Answer(
            response.status,
            back,
            chunks,
            entry=entry,
            close=functools.partial(_close, response),
        )

    async def aclose(self) -> None:
        """Close all connections, also those in use."""
        if self._open is not None:
            await self._open.close()

    def _session(self) -> aiohttp.ClientSession:
        """Made on first use, because it belongs to the running event loop.

        No limit on connections: the callers are limited, and a queue here would only hide it.
        """
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=self._tls, limit=0, keepalive_timeout=KEEP_ALIVE, ttl_dns_cache=60
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            # The client's own go out, or none: an Accept-Encoding that it did not send would
            # bring it an answer that it can't read.
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )


def _payload(body: bytes, headers: CIMultiDict[str]) -> bytes | AsyncIterable[bytes] | None:
    """The body as aiohttp takes it; a large one in pieces, or it would hold up the event loop."""
    if len(body) <= LARGE:
        return body or None
    headers["content-length"] = str(len(body))
    return _pieces(body)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), LARGE):
        yield body[start : start + LARGE]


@functools.lru_cache(maxsize=256)
def _timeout(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(sock_connect=timeouts.connect, sock_read=timeouts.read)


def _url(base: str, path: str, query: str) -> URL:
    if ".." in unquote(path).split("/"):
        raise BadRequest("The path leads out of /v1.")
    return _as_it_came(f"{base}{path}?{query}") if query else _plain_url(base, path)


@functools.lru_cache(maxsize=256)
def _plain_url(base: str, path: str) -> URL:
    return _as_it_came(base + path)


def _as_it_came(url: str) -> URL:
    """Percent-encoded as the client did it; by us where it left out what has to be."""
    return URL(url, encoded=not _UNSAFE.search(url))


def _headers(
    client: tuple[tuple[str, str], ...], params: LiteLLMParams, protocol: str
) -> CIMultiDict[str]:
    own = {name.lower(): value for name, value in params.extra_headers.items()}
    if params.organization is not None:
        own.setdefault("openai-organization", params.organization)
    dropped = _OUR_OWN | own.keys()
    if params.api_key is not None:
        own.setdefault(*_KEY[protocol](params.api_key.get_secret_value()))
        dropped |= _CREDENTIALS
    if protocol == "anthropic" and not any(n.lower() == "anthropic-version" for n, _ in client):
        own.setdefault("anthropic-version", _VERSION)
    passed = ((name, _text(value)) for name, value in client if name.lower() not in dropped)
    return CIMultiDict([*passed, *own.items()])


def _text(value: str) -> str:
    """A header's value, which was read as Latin-1, so that its bytes go out as they came.

    aiohttp writes UTF-8. Bytes that are none go out as the UTF-8 of their Latin-1.
    """
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _end_to_end(headers: list[Header]) -> list[Header]:
    """Without those that are about the connection itself, and those that it names."""
    named = [v.lower() for n, v in headers if n.lower() == b"connection"]
    dropped = _HOP_BY_HOP.union(*([n.strip() for n in value.split(b",")] for value in named))
    return [(n, v) for n, v in headers if n.lower() not in dropped]


async def _chunks(
    response: aiohttp.ClientResponse, entry: ModelEntry, timeouts: Timeouts
) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except FOREIGN as exc:
        raise translate(exc, entry, timeouts) from exc


async def _close(response: aiohttp.ClientResponse) -> None:
    """Gives the connection back; aiohttp cuts it if the answer has not ended."""
    response.release()
