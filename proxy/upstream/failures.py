"""What went wrong between us and a provider: httpx's and aiohttp's exceptions as ours.

httpx-aiohttp calls a refused connection and one that broke down a connect time-out alike, so the
decision goes by aiohttp's exception, which it leaves as the cause.
"""

from __future__ import annotations

import aiohttp
import httpx

from proxy.config_upstreams import ModelEntry
from proxy.errors import UpstreamError, UpstreamTimeout
from proxy.upstream.call import Timeouts

FOREIGN = (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError)
"""All that the transport and its streams raise for a failed exchange."""

_Row = tuple[type[Exception], type[UpstreamError], str]

_ROWS: tuple[_Row, ...] = (
    (
        aiohttp.ConnectionTimeoutError,
        UpstreamTimeout,
        "took no connection within {connect:g} s; check 'api_base' and the network",
    ),
    (
        aiohttp.SocketTimeoutError,
        UpstreamTimeout,
        "sent nothing for {read:g} s; raise 'timeout' or 'stream_timeout' if it needs longer",
    ),
    (
        aiohttp.ClientConnectorDNSError,
        UpstreamError,
        "has an address that can't be looked up; check the host in 'api_base'",
    ),
    (
        aiohttp.ClientSSLError,
        UpstreamError,
        "offers no TLS connection that can be trusted; check its certificate and 'api_base'",
    ),
    (
        aiohttp.ClientConnectorError,
        UpstreamError,
        "can't be reached; check 'api_base' and that a server runs there",
    ),
    (
        aiohttp.ClientConnectionError,
        UpstreamError,
        "closed the connection without an answer; try again",
    ),
    (
        aiohttp.ClientPayloadError,
        UpstreamError,
        "broke off in the middle of its answer; try again",
    ),
    (Exception, UpstreamError, "did not answer in HTTP; check 'api_base'"),
)
"""First match wins, so subclasses stand before their bases."""


def translate(exc: Exception, entry: ModelEntry, timeouts: Timeouts) -> UpstreamError:
    """Our error for it. Names the entry, never its address, its key or anything of the call."""
    cause = exc.__cause__ if isinstance(exc.__cause__, aiohttp.ClientError) else exc
    kind, what = next((row[1], row[2]) for row in _ROWS if isinstance(cause, row[0]))
    said = what.format(connect=timeouts.connect, read=timeouts.read)
    return kind(f"The model {entry.model_name!r} ({entry.litellm_params.model}) {said}.")
