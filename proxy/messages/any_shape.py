"""Requests of whichever shape comes: OpenAI's, Anthropic's, or Responses'.

Gateways send on the messages that their clients sent them, and some leave the model out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from msgspec import Raw

from proxy.messages import anthropic, responses
from proxy.messages.body import Chat, Message, messages_in, parse
from proxy.messages.completion import parse_completion
from proxy.messages.source import (
    Source,
    check_depths,
    kind_of,
    model_of,
    read,
    refuse,
    stream_of,
)

_TEXTS = (b'"text"', responses.TEXT)


def parse_any(body: bytes) -> Chat:
    """Read the body; the model is empty if none is named. Raises BadRequest as ``parse`` does."""
    source, fields = read(body)
    named = "model" in fields and kind_of(fields["model"]) != "null"
    model = model_of(source, fields) if named else ""
    found = enumerate(messages_in(fields))
    messages = tuple(m for i, message in found for m in _messages(source, i, message))
    check_depths(fields, but="messages")
    return Chat(model, stream_of(fields), messages, fields, source)


def shape_of(body: bytes) -> str:
    """The path, below ``/v1``, of what takes such a body. Raises BadRequest if it is no object.

    A guess: messages may be of any shape, which ``/compress`` takes.
    """
    _, fields = read(body)
    if "messages" in fields:
        return "/messages" if "system" in fields else "/compress"
    return "/completions" if "prompt" in fields and "input" not in fields else "/responses"


def parse_as(path: str, body: bytes) -> Chat:
    """Read a body that is for that path. Raises BadRequest as ``parse`` does.

    Also for a path that does not exist, such as one of a later version.
    """
    if path not in _PARSERS:
        refuse(f"There is nothing to read at {path[:100]!r}; there is: {', '.join(_PARSERS)}.")
    return _PARSERS[path](body)


FIELDS = {"/completions": "prompt", "/responses": "input"}
"""The field with the texts by path, where that is not ``messages``."""

_PARSERS: dict[str, Callable[[bytes], Chat]] = {
    "/chat/completions": parse,
    "/compress": parse_any,
    "/completions": parse_completion,
    "/responses": responses.parse_responses,
    "/messages": anthropic.parse_messages,
}


def _messages(source: Source, index: int, fields: Mapping[str, Raw]) -> Iterator[Message]:
    kind = bytes(fields["type"]) if "type" in fields else b""
    if kind in responses.OUTPUTS or (kind and "role" not in fields):
        item = responses.item(source, index, fields, f"messages.{index}")
        yield from (item,) if item is not None else ()
    else:
        yield from anthropic.message(source, index, fields, _TEXTS)
