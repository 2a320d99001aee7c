"""A request of Anthropic's ``/v1/messages``: a system prompt, and messages made of blocks.

Texts are those of text blocks and of the results of tools, which stand in the user's messages but
are the tools' words. Calls, images, documents, thinking and its signatures stay as they came, and
so does ``cache_control`` on any block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

from msgspec import Raw

from proxy.messages.body import (
    SYSTEM,
    Chat,
    Message,
    Text,
    messages_in,
    parts_of,
    role_of,
    text_of,
    texts_in,
    type_of,
)
from proxy.messages.source import Source, check_depths, model_of, read, stream_of

_TEXT, _RESULT = b'"text"', b'"tool_result"'

_Found = tuple[str, Text]
"""A text, and whose words it is."""


def parse_messages(body: bytes) -> Chat:
    """Read the body. Raises BadRequest as ``parse`` does."""
    source, fields = read(body)
    model, stream = model_of(source, fields), stream_of(fields)
    texts = messages_in(fields)
    check_depths(fields, but="messages")
    messages = [
        *_system(source, fields),
        *(m for i, it in enumerate(texts) for m in message(source, i, it)),
    ]
    return Chat(model, stream, tuple(messages), fields, source)


def _system(source: Source, fields: Mapping[str, Raw]) -> Iterator[Message]:
    raw = fields.get("system")
    if raw is not None:
        yield Message(SYSTEM, "system", texts_in(source, raw, "system", _TEXT), fields)


def message(
    source: Source, index: int, fields: Mapping[str, Raw], kinds: tuple[bytes, ...] = (_TEXT,)
) -> Iterator[Message]:
    """A message's own texts, and after them those of its tools' results, if it has any.

    Blocks are numbered in reading order, those within a result after the result itself. ``kinds``
    are the types of the blocks that are texts.
    """
    where = f"messages.{index}"
    check_depths(fields, where, but="content")
    role, content = role_of(source, fields, where), fields.get("content")
    parts = parts_of(content, f"{where}.content") if content is not None else []
    if content is not None and parts is None:
        yield Message(index, role, (Text(None, content, source),), fields)
        return
    found = list(_Blocks(source, kinds).read(parts or [], f"{where}.content", role))
    for whose in dict.fromkeys((role, *(whose for whose, _ in found))):
        texts = tuple(text for owner, text in found if owner == whose)
        yield Message(index, whose, texts, fields)


@dataclass(frozen=True)
class _Blocks:
    """Reads the blocks of one message."""

    source: Source
    kinds: tuple[bytes, ...]
    numbers: Iterator[int] = field(default_factory=count)

    def read(self, blocks: list[dict[str, Raw]], where: str, role: str) -> Iterator[_Found]:
        for i, (block, number) in enumerate(zip(blocks, self.numbers, strict=False)):
            place = f"{where}.{i}"
            kind = type_of(block, place)
            if kind in self.kinds:
                yield role, Text(number, text_of(block, place), self.source)
            elif kind == _RESULT and "content" in block:
                yield from self._result(block["content"], f"{place}.content", number)

    def _result(self, content: Raw, where: str, number: int) -> Iterator[_Found]:
        parts = parts_of(content, where)
        if parts is None:
            yield "tool", Text(number, content, self.source)
        else:
            yield from self.read(parts, where, "tool")
