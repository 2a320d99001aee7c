"""Which messages a policy with ``cache_control: freeze`` leaves alone, from a request's markers.

Clients move their markers forward from turn to turn, so a message after the last marker now may be
before it at the next turn, and must not have been sent in another form by then. Hence

- markers in the opening alone (system prompts and the first message of the user, where a long
  document stands) freeze what is up to the last of them; the rest is treated as ever;
- a marker further on, or one for the whole request, freezes the whole request.

So what was sent at one turn is sent at every later one, as long as each request has its markers and
they stay or move forward. A conversation whose markers go beyond its opening for the first time
changes once. Without markers nothing is frozen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from proxy.messages.body import SYSTEM, Chat, Message

_NAME = "cache_control"
_OPENING = frozenset({"system", "developer"})


def frozen(chat: Chat) -> int:
    """How many of the chat's messages, from the first one on, are to be sent as they came."""
    if _NAME.encode() not in chat.body:
        return 0
    if _is_set(chat.fields):
        return len(chat.messages)
    marked = [i for i, message in enumerate(chat.messages) if _is_marked(message)]
    if not marked:
        return 0
    return marked[-1] + 1 if marked[-1] <= _opening(chat) else len(chat.messages)


def _opening(chat: Chat) -> int:
    """Place of the last message of the opening."""
    roles = [message.role for message in chat.messages]
    first = next((i for i, role in enumerate(roles) if role not in _OPENING), len(roles))
    return first if roles[first : first + 1] == ["user"] else first - 1


def _is_marked(message: Message) -> bool:
    outside = message.index == SYSTEM
    content = message.fields.get("system" if outside else "content")
    if not outside and _is_set(message.fields):
        return True
    if content is None or memoryview(content)[0] != ord("["):
        return False
    return _within(msgspec.json.decode(content))


def _within(parts: Any) -> bool:
    """Whether one of these parts has a marker, or of the parts of a tool's result in them."""
    if not isinstance(parts, list):
        return False
    objects = [part for part in parts if isinstance(part, dict)]
    return any(part.get(_NAME) is not None or _within(part.get("content")) for part in objects)


def _is_set(fields: Mapping[str, Raw]) -> bool:
    return _NAME in fields and bytes(fields[_NAME]) != b"null"
