"""A request that a gateway sends within an event about it, as Portkey's webhook guardrails do.

``{"eventType": "beforeRequestHook", "requestType": "chatComplete", "request": {"json": {...}}}``,
and more that is not needed here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from proxy.messages.anthropic import parse_messages
from proxy.messages.any_shape import parse_any
from proxy.messages.body import Chat
from proxy.messages.completion import parse_completion
from proxy.messages.responses import parse_responses
from proxy.messages.source import kind_of, read, refuse

_PARSERS: dict[bytes, Callable[[bytes], Chat]] = {
    b'"chatComplete"': parse_any,
    b'"complete"': parse_completion,
    b'"messages"': parse_messages,
    b'"createModelResponse"': parse_responses,
}
_BEFORE = b'"beforeRequestHook"'
_OBJECT = msgspec.json.Decoder(dict[str, Raw])


@dataclass(frozen=True)
class Asked:
    """What a gateway asks about."""

    chat: Chat | None
    """None where an event is about nothing that could be compressed, such as an answer."""
    event: bool
    """Whether the request came within an event."""


def read_asked(body: bytes) -> Asked:
    """The request, by itself or within an event. Raises BadRequest as ``parse`` does."""
    if b'"eventType"' not in body:
        return Asked(parse_any(body), event=False)
    source, fields = read(body)
    if "eventType" not in fields or "messages" in fields:
        return Asked(parse_any(body), event=False)
    parse = _PARSERS.get(_of(fields, "requestType"))
    if _of(fields, "eventType") != _BEFORE or parse is None:
        return Asked(None, event=True)
    request = _OBJECT.decode(_object(fields, "request", "request"))
    start, end = source.span(_object(request, "json", "request.json"))
    return Asked(parse(source.body[start:end]), event=True)


def _of(fields: Mapping[str, Raw], name: str) -> bytes:
    return bytes(fields[name]) if name in fields else b""


def _object(fields: Mapping[str, Raw], name: str, where: str) -> Raw:
    if name not in fields or kind_of(fields[name]) != "an object":
        refuse(f"'{where}' must be an object.", where, "invalid_type")
    return fields[name]
