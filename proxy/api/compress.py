"""``POST /v1/compress``: the same pipeline without an upstream, for other gateways to call."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.api.close import close
from proxy.api.compressing import compress
from proxy.api.outcome import Outcome, settle
from proxy.api.parts import encoding_of, visit
from proxy.api.steps import passages_of, read_chat, route_of
from proxy.messages.any_shape import parse_any
from proxy.messages.body import Chat
from proxy.messages.event import read_asked
from proxy.reply import decision_headers
from proxy.tokens import encoding

Json = dict[str, Any]


async def compress_messages(request: Request) -> Response:
    """Answers with the messages as they would have been sent, and what that saves.

    The model only chooses the route and the encoding; it need not be in ``model_list``, nor be
    there at all, since the caller sends the request itself. A request that comes within an event is
    answered with a verdict, which is always that it may go on, and with the whole new request.
    """
    now = visit(request)
    parts = now.parts
    asked = await read_chat(now, read_asked)
    chat = asked.chat
    if chat is None:
        return _json({"verdict": True, "data": {"reason": "nothing to compress"}})
    if now.tenant and chat.model:
        now.tenant.may_use(chat.model)
    encoding_name = encoding_of(parts, chat.model)
    route = await route_of(now, chat)

    passages = await passages_of(now, chat, route)
    compressed = await compress(now, route, chat, passages, encoding_name)
    outcome = await settle(now, route, chat.model, passages, compressed, encoding_name)

    stats = await _stats(outcome, chat, encoding_name)
    answer = _json(_verdict(chat, outcome, stats) if asked.event else _rows(chat, outcome) | stats)
    receipt, ended = close(now, outcome.receipt, 200)
    ended(True, None)
    answer.raw_headers += decision_headers(receipt)
    return answer


def _rows(chat: Chat, outcome: Outcome) -> Json:
    sent = parse_any(chat.render(outcome.texts))
    start, end = sent.source.span(sent.fields["messages"])
    return {"messages": msgspec.Raw(sent.body[start:end])}


def _verdict(chat: Chat, outcome: Outcome, stats: Json) -> Json:
    """Portkey puts ``transformedData.request.json`` in the request's place; without it none."""
    answer = {"verdict": True, "data": {"decision": outcome.receipt.decision, **stats}}
    if not outcome.texts:
        return answer
    sent = msgspec.Raw(chat.render(outcome.texts))
    return {**answer, "transformedData": {"request": {"json": sent}}}


async def _stats(outcome: Outcome, chat: Chat, encoding_name: str) -> Json:
    receipt = outcome.receipt
    before = receipt.tokens_before
    if before is None:  # no policy, so nobody has counted yet
        before = await asyncio.to_thread(_count, chat, encoding_name)
    # In shadow mode the messages go back as they came, so here nothing is saved.
    after = receipt.tokens_after if outcome.texts and receipt.tokens_after is not None else before
    return {
        "tokens_before": before,
        "tokens_after": after,
        "tokens_saved": before - after,
        "compression_ratio": after / before if before else 1.0,
        "transforms_applied": [
            f"precis:{receipt.policy}:messages.{done.message}"
            for done in receipt.messages
            if outcome.texts and done.action == "compressed"
        ],
        "receipt": receipt.id,
    }


def _json(answer: Json) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")


def _count(chat: Chat, encoding_name: str) -> int:
    count = encoding(encoding_name).count
    return sum(count(text.value) for text in chat.texts.values())
