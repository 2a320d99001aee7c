"""Cut a request into passages: every text of every message, with what must survive in it.

A passage depends on its message and the policy alone, never on its place or its neighbours, so
that the same message is compressed to the same bytes at every turn.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from proxy.config import Policy
from proxy.messages.blocks import blocks
from proxy.messages.body import Chat
from proxy.messages.protect import protected
from proxy.messages.question import question_marks
from proxy.messages.spans import disjoint, without
from proxy.messages.structure import is_json
from proxy.types import Mark, Passage

ASKING_ROLES = frozenset({"user", "system", "developer"})
"""Roles whose messages ask for something; results of tools and answers of the model do not."""

_WORD = re.compile(r"\w")


def segment(chat: Chat, policy: Policy) -> tuple[Passage, ...]:
    """One passage for each text of the request, in order, whether it may be touched or not."""
    return tuple(
        passage(text.value, message.role, policy, message=message.index, part=text.part)
        for message in chat.messages
        for text in message.texts
    )


def passage(
    text: str, role: str, policy: Policy, *, message: int = 0, part: int | None = None
) -> Passage:
    """The passage for one text.

    Reasons to leave it alone as a whole: ``role`` (the policy does not name it), ``empty``,
    ``question`` (the policy says ``question: all``, or all of it is asked), ``json``, ``code``,
    ``table`` (all of it is).
    """
    reason = _whole(text, role, policy)
    if reason:
        return Passage(message, part, role, text, reason=reason)
    whole = blocks(text, policy.protect)
    asked = question_marks(text) if role in ASKING_ROLES and policy.question != "none" else ()
    intact = disjoint([*whole, *without(asked, whole)])
    reason = _covered(text, whole) or _covered(text, intact)
    if reason:
        return Passage(message, part, role, text, reason=reason)
    forced = without(protected(text, policy.protect), intact)
    return Passage(message, part, role, text, intact, forced)


def _whole(text: str, role: str, policy: Policy) -> str:
    """Why nothing of this text may be touched, or nothing to say."""
    if role not in policy.roles:
        return "role"
    if not text or text.isspace():
        return "empty"
    if role == "user" and policy.question == "all":
        return "question"
    return "json" if "json" in policy.protect and is_json(text) else ""


def _covered(text: str, intact: Sequence[Mark]) -> str:
    """The reason that most of the text has, if no word is left outside the marks; else ""."""
    at = 0
    sizes: Counter[str] = Counter()
    for mark in intact:
        if _WORD.search(text, at, mark.start):
            return ""
        sizes[mark.reason] += mark.end - mark.start
        at = mark.end
    if not sizes or _WORD.search(text, at):
        return ""
    return sizes.most_common(1)[0][0]
