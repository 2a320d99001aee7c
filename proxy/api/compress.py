"""``POST /v1/compress``: the same pipeline without an upstream, for other gateways to call."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.api.parts import encoding_of, read_body, visit
from proxy.api.steps import close, compress, passages_of, settle
from proxy.messages.body import parse
from proxy.reply import decision_headers
from proxy.routing import Asked


async def compress_messages(request: Request) -> Response:
    """Answers with the messages as they would have been sent, and what that saves.

    The model only chooses the route and the encoding; it need not be in ``model_list``, since the
    caller sends the request itself.
    """
    now = visit(request)
    parts = now.parts
    chat = parse(await read_body(now))
    if now.tenant:
        now.tenant.may_use(chat.model)
    encoding_name = encoding_of(parts, chat.model)
    route = parts.router.route(chat.model, now.tenant, Asked.from_headers(request.headers))

    passages = await passages_of(now, chat, route)
    compressed = await compress(now, route, passages, encoding_name)
    outcome = settle(now, route, chat.model, passages, compressed, encoding_name)

    receipt = outcome.receipt
    before, after = receipt.tokens_before or 0, receipt.tokens_after or 0
    sent = parse(chat.render(outcome.texts))
    start, end = sent.source.span(sent.fields["messages"])
    body = msgspec.json.encode(
        {
            "messages": msgspec.Raw(sent.body[start:end]),
            "tokens_before": before,
            "tokens_after": after,
            "tokens_saved": before - after,
            "compression_ratio": after / before if before else 1.0,
            "transforms_applied": [
                f"precis:{receipt.policy}:messages.{done.message}"
                for done in receipt.messages
                if done.action == "compressed"
            ],
            "receipt": receipt.id,
        }
    )
    close(now, receipt, 200)(True)
    answer = Response(body, media_type="application/json")
    answer.raw_headers += decision_headers(receipt)
    return answer
