"""The quality guard at work: of a few compressed requests the original is sent too, afterwards.

The client's answer is passed on as ever; once it has ended the original goes out, and what both
answers say is compared and forgotten. Nothing that goes wrong here reaches a client.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from proxy.api.fit import Asking
from proxy.api.forward import call_for
from proxy.api.parts import Parts, Visit
from proxy.config_routes import Guard, RouteSettings
from proxy.config_upstreams import ModelEntry
from proxy.errors import PrecisError
from proxy.guard import compare
from proxy.guard.answers import Said, read
from proxy.guard.heard import Heard
from proxy.guard.keeper import REFRESH_S
from proxy.guard.state import Observation
from proxy.ledger import Comparison, Receipt, Usage, cost
from proxy.ledger.usage import UsageReader
from proxy.messages.body import Chat, parse
from proxy.messages.source import kind_of
from proxy.prices import Price, price_of
from proxy.routing import Asked
from proxy.upstream import Answer, Call

log = structlog.get_logger("precis")

Ended = Callable[[bool, Usage | None], None]

_LONG_OR_STORED = ("conversation", "background", "web_search_options", "audio", "mcp_servers")
"""Fields of requests that do more than to answer, or that answer with more than words."""
_CLIENTS_TOOLS = ("function", "custom")
"""Kinds of tools that the client runs itself; the provider runs the others."""
_ONCE = frozenset({"idempotency-key"})
_JUDGED = 300
"""Tokens of a judge's prompt beside the answers, and of its reply, about."""


@dataclass(frozen=True)
class _Case:
    """One sampled request."""

    visit: Visit
    asking: Asking
    receipt: Receipt
    settings: RouteSettings
    guard: Guard
    entry: ModelEntry
    change: int
    heard: Heard

    @property
    def parts(self) -> Parts:
        return self.visit.parts


class _Bill:
    """What the calls of one comparison have cost so far."""

    def __init__(self) -> None:
        self.prompt = self.completion = 0
        self.usd = 0.0
        self.known = True

    def add(self, usage: Usage | None, price: Price | None) -> None:
        if usage is not None:
            self.prompt += usage.prompt_tokens
            self.completion += usage.completion_tokens
        if usage is None or price is None:
            self.known = False
        else:
            self.usd += cost(usage, price)

    def comparison(self, how: str, agreement: float | None) -> Comparison:
        usd = self.usd if self.known else None
        return Comparison(how, agreement, self.prompt, self.completion, usd)


def overhear(
    visit: Visit, asking: Asking, receipt: Receipt, answer: Answer, ended: Ended
) -> tuple[Answer, Ended]:
    """The same answer and the same end; for a sampled request, with a comparison to follow."""
    case = _case(visit, asking, receipt, answer)
    if case is None:
        return answer, ended

    def then(whole: bool, usage: Usage | None = None) -> None:
        ended(whole, usage)
        if whole and not visit.parts.errands.full:
            visit.parts.errands.start(_compare(case, usage))

    return answer.overheard(case.heard.hear), then


async def keep_up(parts: Parts) -> None:
    """Follow what other workers decide, for as long as the server runs."""
    while True:
        await asyncio.to_thread(parts.guard.refresh)
        _show(parts)
        await asyncio.sleep(REFRESH_S)


def _show(parts: Parts) -> None:
    for name, state in parts.guard.states().items():
        parts.metrics.guard.level.labels(name).set(state.level)
        if state.agreement is not None:
            parts.metrics.guard.agreement.labels(name).set(state.agreement)


def _case(visit: Visit, asking: Asking, receipt: Receipt, answer: Answer) -> _Case | None:
    settings = asking.route.guarded
    if settings is None or settings.guard is None or answer.status != 200:
        return None
    guard, parts = settings.guard, visit.parts
    if receipt.decision != "compressed" or not receipt.stable or parts.errands.full:
        return None
    if _place(receipt.id) >= guard.sample or not _may_go_twice(asking.chat, asking.path):
        return None
    _, change = parts.guard.at(settings)
    own_rate = Asked.from_headers(visit.request.headers).rate is None
    if not own_rate or parts.guard.raised(settings) != receipt.raised:
        return None
    heard = Heard(answer.content_encoding)
    return _Case(visit, asking, receipt, settings, guard, answer.entry, change, heard)


def _place(request_id: str) -> float:
    """Where in [0, 1) the request falls."""
    digest = hashlib.sha256(request_id.encode()).digest()
    return int.from_bytes(digest[:6]) / (1 << 48)


def _may_go_twice(chat: Chat, path: str) -> bool:
    """Whether a second request does no more than to answer, in words that can be compared."""
    fields = chat.fields
    if any(name in fields and kind_of(fields[name]) != "null" for name in _LONG_OR_STORED):
        return False
    if bytes(fields.get("store", b"false")).strip() == b"true":
        return False
    if bytes(fields.get("n", b"1")).strip() not in (b"1", b"null"):
        return False
    tools = json.loads(bytes(fields.get("tools", b"null"))) or ()
    return all(isinstance(t, dict) and t.get("type", "custom") in _CLIENTS_TOOLS for t in tools)


async def _compare(case: _Case, usage: Usage | None) -> None:
    """Send the original, compare, tell the guard, the metrics and the receipt."""
    metrics, keeper = case.parts.metrics.guard, case.parts.guard
    body = await asyncio.to_thread(case.heard.body)
    mine = await asyncio.to_thread(read, body) if body else None
    if mine is None:
        return
    expected = _expected(case, mine, usage)
    if not await asyncio.to_thread(keeper.reserve, case.settings, expected):
        metrics.comparisons.labels(case.settings.name, "over budget").inc()
        return
    bill = _Bill()
    agreement = None
    try:
        agreement = await _agreement(case, mine, bill)
    except PrecisError as exc:
        log.warning("guard could not compare", id=case.receipt.id, code=exc.code)
    finally:
        comparison = bill.comparison(case.guard.compare, agreement)
        metrics.count(case.settings.name, case.parts.metrics.who(case.receipt), comparison)
    actual = bill.usd if bill.known else max(bill.usd, expected or 0.0)
    await asyncio.to_thread(keeper.settle, case.settings, expected or 0.0, actual)
    await _tell(case, comparison)


async def _tell(case: _Case, comparison: Comparison) -> None:
    parts = case.parts
    if comparison.agreement is not None:
        seen = Observation(comparison.agreement, case.change)
        changed = await asyncio.to_thread(parts.guard.observe, case.settings, seen)
        if changed is not None:
            direction = "raised" if changed.level > changed.before else "lowered"
            parts.metrics.guard.changes.labels(case.settings.name, direction).inc()
        _show(parts)
    try:
        found = await parts.receipts.get(case.receipt.id, case.receipt.tenant)
    except PrecisError:  # it has gone already, or cannot be read; metrics and state have it
        return
    parts.receipts.add(found.compared(comparison))


async def _agreement(case: _Case, mine: Said, bill: _Bill) -> float | None:
    call = await call_for(case.visit, case.asking.chat, case.asking.path, {})
    theirs = await _said(case.parts, _once_more(call, case.asking), bill, case.entry)
    if theirs is None:
        return None
    if case.guard.judge is None:
        measure = compare.exact if case.guard.compare == "exact" else compare.f1
        return await asyncio.to_thread(measure, mine, theirs)
    if mine.calls or theirs.calls or mine == theirs:
        return compare.exact(mine, theirs)
    said = await _said(case.parts, _question(case.guard.judge, mine, theirs), bill, None)
    return compare.verdict(said) if said else None


async def _said(parts: Parts, call: Call, bill: _Bill, entry: ModelEntry | None) -> Said | None:
    """What is answered, if it is by the model of that entry; its price is put on the bill."""
    answer = await parts.pool.send(call)
    reader, heard = UsageReader(answer.content_encoding), Heard(answer.content_encoding)
    try:
        async for chunk in answer.aiter():
            reader.feed(chunk)
            heard.hear(chunk)
    finally:
        await answer.aclose()
        if answer.status == 200:
            bill.add(reader.usage(), price_of(answer.entry))
    other = entry is not None and answer.entry.litellm_params.model != entry.litellm_params.model
    body = heard.body()
    if answer.status != 200 or other or body is None:
        return None
    return await asyncio.to_thread(read, body)


def _once_more(call: Call, asking: Asking) -> Call:
    """The original, to the same name alone, and stored nowhere."""
    headers = tuple((n, v) for n, v in call.headers if n.lower() not in _ONCE)
    call = replace(call, headers=headers, allows=lambda _: False)
    if asking.path != "/responses":
        return call
    chat = asking.chat
    return replace(
        call,
        render=lambda model, defaults: chat.render(
            {}, model=model, defaults={**defaults, "store": False}
        ),
    )


def _question(judge: str, mine: Said, theirs: Said) -> Call:
    """Without any header of the client's: the judge may be somebody else's model."""
    chat = parse(compare.question(judge, mine, theirs))
    return Call(
        method="POST",
        path="/chat/completions",
        query="",
        headers=(("content-type", "application/json"),),
        body=chat.body,
        model=judge,
        stream=False,
        render=lambda model, defaults: chat.render({}, model=model, defaults=defaults),
    )


def _expected(case: _Case, mine: Said, usage: Usage | None) -> float | None:
    """What the comparison will cost, rather too much; None where a price is not known."""
    price, receipt = price_of(case.entry), case.receipt
    if price is None:
        return None
    prompt = (usage.prompt_tokens if usage else receipt.tokens_after or 0) + receipt.saved
    words = 2 * (usage.completion_tokens if usage else len(mine.text) // 2) + _JUDGED
    usd = prompt * price.input + words * price.output
    if case.guard.judge is None:
        return usd
    judge = price_of(case.parts.entries.find(case.guard.judge)[0])
    if judge is None:
        return None
    return usd + (2 * words + _JUDGED) * judge.input + _JUDGED * judge.output
