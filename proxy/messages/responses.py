"""A request of ``/v1/responses``: instructions, and an input that is a text or a list of items.

Texts are those of messages and of what the caller's tools gave back. What a provider made itself
(reasoning, calls, its own answers' parts) goes back to it as it came, ids included.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Raw

from proxy.messages.body import SYSTEM, Chat, Message, Text, role_of, texts_in
from proxy.messages.source import (
    Source,
    check_depths,
    kind_of,
    model_of,
    objects,
    read,
    refuse,
    stream_of,
)

OUTPUTS = (b'"function_call_output"', b'"custom_tool_call_output"')
"""Types of the items that hold what a tool of the caller's gave back."""
TEXT = b'"input_text"'


def parse_responses(body: bytes) -> Chat:
    """Read the body. Raises BadRequest as ``parse`` does."""
    source, fields = read(body)
    model, stream = model_of(source, fields), stream_of(fields)
    check_depths(fields, but="input")
    messages = (*_instructions(source, fields), *_input(source, fields))
    return Chat(model, stream, messages, fields, source)


def _instructions(source: Source, fields: Mapping[str, Raw]) -> tuple[Message, ...]:
    raw = fields.get("instructions")
    if raw is None or kind_of(raw) != "a string":
        return ()
    return (Message(SYSTEM, "system", (Text(None, raw, source),), fields),)


def _input(source: Source, fields: Mapping[str, Raw]) -> tuple[Message, ...]:
    """What is put in; nothing where a stored prompt or conversation is all there is."""
    raw = fields.get("input")
    kind = kind_of(raw) if raw is not None else "null"
    if raw is None or kind == "null":
        return ()
    if kind == "a string":
        return (Message(0, "user", (Text(None, raw, source),), fields),)
    if kind != "an array":
        refuse(f"'input' must be a string or a list of items, not {kind}.", "input", "invalid_type")
    found = (item(source, i, it, f"input.{i}") for i, it in enumerate(objects(raw, "input")))
    return tuple(message for message in found if message is not None)


def item(source: Source, index: int, fields: Mapping[str, Raw], where: str) -> Message | None:
    """The texts of one item; None for one that has none, or that is the provider's own."""
    kind = bytes(fields["type"]) if "type" in fields else b'"message"'
    if kind in OUTPUTS:
        return _message(source, index, "tool", fields, where, "output")
    if kind == b'"message"' and "role" in fields:
        return _message(source, index, role_of(source, fields, where), fields, where, "content")
    check_depths(fields, where)
    return None


def _message(
    source: Source, index: int, role: str, fields: Mapping[str, Raw], where: str, name: str
) -> Message:
    check_depths(fields, where, but=name)
    raw = fields.get(name)
    texts = texts_in(source, raw, f"{where}.{name}", TEXT) if raw is not None else ()
    return Message(index, role, texts, fields)
