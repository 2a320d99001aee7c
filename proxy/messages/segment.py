"""Cut a request into passages: every text of every message, with what must survive in it.

A passage depends on its message and the policy alone, never on its place or its neighbours, so
that the same message is compressed to the same bytes at every turn. (``frozen.py`` says how that
stays so where a policy freezes what a client has marked for the provider's cache.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from proxy.config_policy import Policy
from proxy.messages.body import Chat
from proxy.messages.contexts import with_contexts
from proxy.messages.frozen import frozen
from proxy.messages.spans import without
from proxy.messages.survey import Survey, Tagged, survey
from proxy.messages.tags import Tags, read_tags
from proxy.reading import Reading
from proxy.types import Escape, Mark, Passage, Region


class Cut(Protocol):
    """Finds the passage for one text: ``passage``, or something that remembers what it found."""

    def __call__(
        self, text: str, role: str, policy: Policy, *, message: int = 0, part: int | None = None
    ) -> Passage: ...


def segment(chat: Chat, policy: Policy, cut: Cut | None = None) -> tuple[Passage, ...]:
    """One passage for each text of the request, in order, whether it may be touched or not.

    Texts that a marker freezes have the reason ``cache_control``.
    """
    find = cut or passage
    whole = frozen(chat) if policy.cache_control == "freeze" else 0
    return tuple(
        Passage(message.index, text.part, message.role, text.value, reason="cache_control")
        if place < whole
        else find(text.value, message.role, policy, message=message.index, part=text.part)
        for place, message in enumerate(chat.messages)
        for text in message.texts
    )


def passage(
    text: str, role: str, policy: Policy, *, message: int = 0, part: int | None = None
) -> Passage:
    """The passage for one text.

    Reasons to leave it alone as a whole: ``role`` (the policy does not name it), ``empty``,
    ``question`` (the policy says ``question: all``, or all of it is asked), ``json``, ``code``,
    ``table`` (all of it is). A text with tags that are obeyed is never left alone: at least the
    tags go.
    """
    tags = read_tags(text) if role in policy.obey_tags else Tags()
    found = _tagged(text, role, policy, tags) if tags.dropped else survey(text, role, policy)
    result = Passage(
        message,
        part,
        role,
        text,
        found.intact,
        found.forced,
        found.reason,
        tags.dropped if not found.reason else (),
        found.regions,
        found.escapes,
        found.documents,
    )
    return with_contexts(result, policy)


def _tagged(text: str, role: str, policy: Policy, tags: Tags) -> Survey:
    """What is found in the text without its tags, by places in the text with them."""
    reading = Reading.of(text, (), tags.dropped)
    kept = reading.places([(mark.start, mark.end) for mark in tags.kept])
    inner = reading.places([(region.start, region.end) for region in tags.regions])
    rates = [region.rate for region in tags.regions]
    found = survey(
        reading.text,
        role,
        policy,
        Tagged(
            tuple(Mark(*span, "keep") for span in kept),
            tuple(Region(*span, rate) for span, rate in zip(inner, rates, strict=True)),
        ),
    )
    if not reading.text.strip():
        return Survey(reason="empty")
    if found.reason and found.reason != "empty":  # all of it stays, but not its tags
        found = Survey((Mark(0, len(reading.text), found.reason),))
    return _outer(found, reading, tags.dropped)


def _outer(found: Survey, reading: Reading, dropped: Sequence[Mark]) -> Survey:
    """The same, by places in what was read; marks are cut where something is dropped."""

    def marks(inner: Sequence[Mark]) -> tuple[Mark, ...]:
        spans = reading.outer([(mark.start, mark.end) for mark in inner])
        outer = [Mark(*span, mark.reason) for span, mark in zip(spans, inner, strict=True)]
        return without(outer, dropped)

    regions = reading.outer([(region.start, region.end) for region in found.regions])
    escapes = reading.outer([(escape.start, escape.end) for escape in found.escapes])
    return Survey(
        marks(found.intact),
        marks(found.forced),
        found.reason,
        tuple(Region(*s, r.rate) for s, r in zip(regions, found.regions, strict=True)),
        tuple(
            Escape(*outer, escape.char)
            for outer, escape in zip(escapes, found.escapes, strict=True)
            # A tag in an escape would cut it: the document breaks, which the gate will see.
            if outer[1] - outer[0] == escape.end - escape.start
        ),
        tuple(reading.outer(found.documents)),
    )
