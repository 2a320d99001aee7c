"""Chat completions: everything that happens to a request, in order."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from proxy.api.close import close
from proxy.api.compressing import compress
from proxy.api.fit import Asking, deliver
from proxy.api.guard import overhear
from proxy.api.outcome import settle
from proxy.api.parts import Visit, encoding_of, visit
from proxy.api.steps import passages_of, read_chat, route_of
from proxy.messages.body import Chat, parse
from proxy.reply import Relay, decision_headers


async def chat_completions(request: Request) -> Response:
    """``POST /v1/chat/completions``, streaming or not."""
    now = visit(request)  # who is it?
    return await complete(now, await read_chat(now, parse), "/chat/completions")


async def complete(now: Visit, chat: Chat, path: str) -> Response:
    """The same for every shape of request; ``path`` is the upstream's, below its base."""
    parts = now.parts
    if now.tenant:
        now.tenant.may_use(chat.model)
    parts.entries.find(chat.model, now.tenant)  # is there such a model?
    route = await route_of(now, chat)
    encoding = encoding_of(parts, chat.model)

    passages = await passages_of(now, chat, route)  # what may be touched?
    compressed = await compress(now, route, chat, passages, encoding)  # verified, or left as it was
    outcome = await settle(now, route, chat.model, passages, compressed, encoding)

    asking = Asking(chat, path, route, encoding)
    answer, outcome = await deliver(now, asking, outcome)  # shorter still, if it must fit
    receipt, ended = close(now, outcome.receipt, answer.status, answer.entry)
    answer, ended = overhear(now, asking, receipt, answer, ended)  # was quality lost? of a few
    return Relay(answer, decision_headers(receipt), ended)
