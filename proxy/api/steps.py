"""The first steps of every surface: read the request, route it, find what may be touched."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar, TypeVarTuple

from proxy.api.parts import Visit, read_body
from proxy.api.recall import NotMet
from proxy.messages.body import Chat
from proxy.messages.opening import opening
from proxy.messages.segment import segment
from proxy.routing import Asked, Route
from proxy.types import Passage

T = TypeVar("T")
Args = TypeVarTuple("Args")

_READ_ON_LOOP = 8_000
"""Bytes of a body up to which finding its passages takes less time than changing threads."""
_MANY = 500
"""Objects in a body up to which reading it takes less than changing threads is worth."""
_FASTER, _A_TEXT = 12, 150
"""How many times faster than it is read a text is recalled that was met before, and what each one
costs beside, in characters read."""


async def read_chat(visit: Visit, parse: Callable[[bytes], T]) -> T:
    """The body as ``parse`` reads it; one of very many messages is read in a thread."""
    body = await read_body(visit)
    if body.count(b"{") <= _MANY:
        return parse(body)
    return await visit.parts.scheduler.in_thread(len(body), parse, body)


async def route_of(visit: Visit, chat: Chat) -> Route:
    """The policy for the chat, and whether its conversation is one of those to be compressed."""
    asked = Asked.from_headers(visit.headers)
    route = visit.parts.router.route(chat.model, visit.tenant, asked)
    if route.share == 1:
        return route
    return route.at(await where_it_fits(visit, len(chat.body), opening, chat))


async def passages_of(visit: Visit, chat: Chat, route: Route) -> tuple[Passage, ...]:
    """What may be touched of the chat; nothing without a policy. Long ones are read in a thread."""
    if route.policy is None:
        return ()
    recall, size = visit.parts.recall, len(chat.body)
    if size > _READ_ON_LOOP >= recalling(size, len(chat.messages)):
        try:
            return segment(chat, route.policy, partial(recall.met, visit.tenant_name))
        except NotMet:
            pass  # then all of it is read in a thread
    cut = partial(recall.passage, visit.tenant_name)
    return await where_it_fits(visit, size, segment, chat, route.policy, cut)


async def where_it_fits(visit: Visit, size: int, work: Callable[[*Args], T], *args: *Args) -> T:
    """What the work gives; it is done right here if it is small, else in a thread."""
    if size <= _READ_ON_LOOP:
        return work(*args)
    return await visit.parts.scheduler.in_thread(size, work, *args)


def recalling(size: int, texts: int) -> int:
    """Characters that are read in the time that it takes to recall so many in so many texts."""
    return size // _FASTER + _A_TEXT * texts
