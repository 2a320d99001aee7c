"""Messages of whichever shape a gateway has at hand: OpenAI's, Anthropic's, or Responses' items.

Gateways send on what their clients sent them, and some leave the model out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Raw

from proxy.messages import anthropic, responses
from proxy.messages.body import Chat, Message, messages_in
from proxy.messages.source import Source, check_depths, kind_of, model_of, read, stream_of

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


def _messages(source: Source, index: int, fields: Mapping[str, Raw]) -> Iterator[Message]:
    kind = bytes(fields["type"]) if "type" in fields else b""
    if kind in responses.OUTPUTS or (kind and "role" not in fields):
        item = responses.item(source, index, fields, f"messages.{index}")
        yield from (item,) if item is not None else ()
    else:
        yield from anthropic.message(source, index, fields, _TEXTS)
