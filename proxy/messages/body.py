"""A request with texts in it, whatever its shape: read what matters, splice what changes.

``parse`` reads chat completions; the other shapes have files of their own beside this one.
Nothing is re-serialised: ``render`` puts new strings where old ones stood and leaves every other
byte alone. Knows nothing about policies or HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from msgspec import Raw

from proxy.messages.source import (
    MAX_DEPTH,
    Source,
    check_depths,
    encode,
    kind_of,
    model_of,
    objects,
    read,
    refuse,
    splice,
    stream_of,
)

__all__ = ["MAX_DEPTH", "Chat", "Message", "Text", "parse"]

_ROLES = {b'"%b"' % role.encode(): role for role in ("system", "user", "assistant", "tool")}
_TEXT = b'"text"'
_NONE: Mapping[str, Any] = MappingProxyType({})


SYSTEM = -1
"""The index of a system prompt that is a field of its own; it is before all messages."""


@dataclass(frozen=True)
class Text:
    """One text of a message: its content, or one of its parts."""

    part: int | None
    """Index in the message's list of parts; ``None`` where the content is a plain string."""
    raw: Raw = field(repr=False)
    source: Source = field(repr=False)

    @cached_property
    def value(self) -> str:
        """The decoded text. Decoded on first use: most requests are forwarded unread."""
        return self.source.string(self.raw)


@dataclass(frozen=True)
class Message:
    """The texts of one role in one message, and all the message's fields as they came.

    A message of Anthropic's shape that holds results of tools is several of these.
    """

    index: int
    """In the request's list of messages; ``SYSTEM`` for a prompt that stands outside of it."""
    role: str
    texts: tuple[Text, ...]
    fields: Mapping[str, Raw] = field(repr=False)


@dataclass(frozen=True)
class Chat:
    """A request with its messages. ``fields`` are its top-level fields as they came."""

    model: str
    stream: bool
    messages: tuple[Message, ...]
    fields: Mapping[str, Raw] = field(repr=False)
    source: Source = field(repr=False)

    @property
    def body(self) -> bytes:
        """The request as it came."""
        return self.source.body

    @cached_property
    def texts(self) -> Mapping[tuple[int, int | None], Text]:
        """Every text by (index of the message, index of the part or ``None``)."""
        return {(m.index, t.part): t for m in self.messages for t in m.texts}

    def render(
        self,
        texts: Mapping[tuple[int, int | None], str],
        *,
        model: str | None = None,
        defaults: Mapping[str, Any] = _NONE,
    ) -> bytes:
        """The body with these texts, this model's name and the absent ones of these fields.

        Every other byte stays, white space and number formats included. The original object is
        returned if nothing differs. Raises KeyError for a text that the request does not have.
        """
        edits = [
            (*self.source.span(text.raw), encode(new))
            for text, new in ((self.texts[key], new) for key, new in texts.items())
            if new != text.value
        ]
        if model is not None and model != self.model:
            edits.append((*self.source.span(self.fields["model"]), encode(model)))
        absent = [name for name in defaults if name not in self.fields]
        if absent:
            end = self.body.rindex(b"}")
            added = b"".join(b",%b:%b" % (encode(n), encode(defaults[n])) for n in absent)
            edits.append((end, end, added))
        return splice(self.body, edits)


def parse(body: bytes) -> Chat:
    """Read a chat-completions body.

    Raises BadRequest, with the place but no content in its message, for what is not JSON, nests
    more than MAX_DEPTH deep, or lacks a model or a list of messages of the documented types.
    Fields that are not needed here are not judged: they are the upstream's business.
    """
    source, fields = read(body)
    model, stream = model_of(source, fields), stream_of(fields)
    messages = _messages(source, fields)
    check_depths(fields, but="messages")
    return Chat(model, stream, messages, fields, source)


def _messages(source: Source, fields: Mapping[str, Raw]) -> tuple[Message, ...]:
    messages = enumerate(messages_in(fields))
    return tuple(_message(source, i, message) for i, message in messages)


def messages_in(fields: Mapping[str, Raw]) -> list[dict[str, Raw]]:
    """The messages of a request, at least one. Raises BadRequest."""
    if "messages" not in fields:
        refuse("'messages' is missing; send a list of messages.", "messages", "missing_field")
    messages = objects(fields["messages"], "messages")
    if not messages:
        refuse("'messages' is empty; send at least one.", "messages", "empty_array")
    return messages


def _message(source: Source, index: int, fields: Mapping[str, Raw]) -> Message:
    where = f"messages.{index}"
    check_depths(fields, where, but="content")
    role = role_of(source, fields, where)
    content = fields.get("content")
    texts = texts_in(source, content, f"{where}.content", _TEXT) if content is not None else ()
    return Message(index, role, texts, fields)


def role_of(source: Source, fields: Mapping[str, Raw], where: str) -> str:
    """The role of the message at that place. Raises BadRequest if there is none."""
    if "role" not in fields:
        refuse(f"'{where}.role' is missing.", f"{where}.role", "missing_field")
    if kind_of(fields["role"]) != "a string":
        refuse(f"'{where}.role' must be a string.", f"{where}.role", "invalid_type")
    return _ROLES.get(bytes(fields["role"])) or source.string(fields["role"])


def parts_of(content: Raw, where: str) -> list[dict[str, Raw]] | None:
    """The parts of a content that is a list; None for a string. Raises BadRequest for others.

    A ``null`` has no parts.
    """
    kind = kind_of(content)
    if kind == "null":
        return []
    if kind == "a string":
        return None
    if kind != "an array":
        refuse(
            f"'{where}' must be a string, a list of parts or null, not {kind}.",
            where,
            "invalid_type",
        )
    return objects(content, where)


def type_of(part: Mapping[str, Raw], where: str) -> bytes:
    """The type of the part at that place, as it came, with its quotes. Raises BadRequest."""
    check_depths(part, where)
    if "type" not in part or kind_of(part["type"]) != "a string":
        refuse(f"'{where}.type' must be a string.", f"{where}.type", "invalid_type")
    return bytes(part["type"])


def text_of(part: Mapping[str, Raw], where: str) -> Raw:
    """The text of a part that is one. Raises BadRequest if there is none."""
    if "text" not in part or kind_of(part["text"]) != "a string":
        refuse(f"'{where}.text' must be a string.", f"{where}.text", "invalid_type")
    return part["text"]


def texts_in(source: Source, content: Raw, where: str, kind: bytes) -> tuple[Text, ...]:
    """The texts of a content: itself, or those of its parts that are of this type."""
    parts = parts_of(content, where)
    if parts is None:
        return (Text(None, content, source),)
    places = [(i, part, f"{where}.{i}") for i, part in enumerate(parts)]
    return tuple(
        Text(i, text_of(part, place), source)
        for i, part, place in places
        if type_of(part, place) == kind
    )
