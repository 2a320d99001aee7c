"""``model: echo``: answers with what would have been sent, so that Precis works without any key."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Iterable

from proxy.config_upstreams import ModelEntry
from proxy.errors import BadRequest
from proxy.tokens import encoding, encoding_for
from proxy.upstream.call import Answer, Call, Header, Timeouts
from proxy.upstream.echo_shapes import SHAPES, Echoed, encode

_JSON: list[Header] = [(b"content-type", b"application/json")]
_EVENTS: list[Header] = [(b"content-type", b"text/event-stream; charset=utf-8")]


class Echo:
    """A provider that answers with the texts of what it was sent."""

    async def send(self, call: Call, entry: ModelEntry, timeouts: Timeouts) -> Answer:
        """An answer whose content is the texts, joined by empty lines, as they would be sent.

        Its extra field ``echo`` is the whole body; in a stream, one of the last events has it.
        Raises BadRequest for a path that is not in SHAPES, and for a body of another shape.
        """
        shape = SHAPES.get(call.path.rstrip("/"))
        if shape is None:
            known = ", ".join(f"/v1{path}" for path in SHAPES)
            raise BadRequest(
                f"The model {entry.model_name!r} answers {known} and nothing else.", param="model"
            )
        body = call.body_for(entry.litellm_params.model, entry.litellm_params.defaults)
        # Counting a million tokens takes a moment, and the first count loads a vocabulary.
        pieces = await asyncio.to_thread(_answer, shape, body, entry, call.stream)
        if call.stream:
            return Answer(200, list(_EVENTS), _each(pieces), entry=entry)
        headers = [*_JSON, (b"content-length", b"%d" % len(pieces[0]))]
        return Answer(200, headers, _each(pieces), entry=entry)

    async def aclose(self) -> None:
        """Nothing is open."""


def _answer(shape: type[Echoed], body: bytes, entry: ModelEntry, stream: bool) -> list[bytes]:
    name = entry.model_info.encoding or encoding_for(entry.litellm_params.model)
    count = functools.lru_cache(maxsize=1)(encoding(name).count)
    try:
        echoed = shape(json.loads(body), entry.model_name, count)
        return list(echoed.events()) if stream else [encode(echoed.whole())]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as exc:
        # From None: the cause would carry the body into the log.
        raise BadRequest(f"The body is no such request: {type(exc).__name__}.") from None


async def _each(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
