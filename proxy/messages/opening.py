"""How a conversation begins, as a number that stays the same at every later turn. Pure."""

from __future__ import annotations

import hashlib

from proxy.messages.body import Chat


def opening(chat: Chat) -> float:
    """Where in [0, 1) the conversation falls: a hash of its messages up to the first user's.

    What stands before the first user's message counts too, for a system prompt that all
    conversations share changes nothing, and a question that all share may stand under documents
    of their own. A conversation without a user's message goes by its first one. The same on every
    worker and after every restart.
    """
    asked = (i for i, message in enumerate(chat.messages) if message.role == "user")
    digest = hashlib.sha256()
    for message in chat.messages[: next(asked, 0) + 1]:
        digest.update(_hash(message.role))
        for text in message.texts:
            digest.update(_hash(text.value))
        digest.update(b"end")
    return int.from_bytes(digest.digest()[:6]) / (1 << 48)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
