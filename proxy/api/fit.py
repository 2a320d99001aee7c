"""Fit to window: what to do about a prompt that the model has no room for.

One token target over several messages, so a message's compressed form hangs on the others here:
the one exception to the rule that it does not, asked for by the policy and marked in the receipt.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from typing import Any

from proxy.api.compressing import compress
from proxy.api.forward import call_for, send
from proxy.api.outcome import Outcome, settle
from proxy.api.parts import Visit
from proxy.api.steps import passages_of
from proxy.config_policy import FitToWindow, Policy
from proxy.errors import BadRequest
from proxy.messages.body import Chat
from proxy.messages.source import kind_of
from proxy.prices import input_limit_of
from proxy.routing import Route
from proxy.tokens import Encoding, encoding
from proxy.types import Compressed, Passage
from proxy.upstream import Answer, TooLong, refused_as_too_long

_A_MESSAGE = 4
"""Tokens that a message costs beside its text, about: its role and its ends."""
_SLACK = 0.99
"""Of the room, what is aimed at: counts differ a little from the provider's."""
_GUESS = 0.75
"""Of the prompt, what is aimed at where nobody says how much room there is."""
_SHORT = 50
"""Tokens; shorter texts are not worth breaking even here."""
_ROUNDS = 3
"""Times that a rate is corrected by what it gave."""
_OFF = FitToWindow(enabled=False)
_ANSWERS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
_BESIDE = ("tools", "functions", "response_format")


@dataclass(frozen=True)
class Asking:
    """One request on its way upstream."""

    chat: Chat
    path: str
    """The upstream's, below its base."""
    route: Route
    encoding: str

    @property
    def fit(self) -> FitToWindow:
        """The policy's wish; nothing is changed but in enforce mode."""
        policy = self.route.policy
        if policy is None or self.route.mode != "enforce":
            return _OFF
        return policy.fit_to_window

    def reserved(self, refusal: TooLong | None = None) -> int:
        """Tokens to keep free for the answer.

        What the request asks for counts only where a refusal tells that prompt and answer share
        one limit: many models have a limit for each.
        """
        if refusal is None or not refusal.shared:
            return self.fit.reserve_tokens
        asked = (self.chat.fields.get(name) for name in _ANSWERS)
        given = [int(bytes(raw)) for raw in asked if raw is not None and bytes(raw).isdigit()]
        return max([self.fit.reserve_tokens, *given])


@dataclass(frozen=True)
class Room:
    """How much there is, and how much is needed, in tokens as we count them."""

    limit: int
    """What the model takes, less what is kept for the answer."""
    texts: int
    """Tokens of all texts as they came."""
    beside: int
    """Tokens of everything else in the prompt, about."""

    @property
    def for_texts(self) -> int:
        return self.limit - self.beside

    @property
    def rate(self) -> float:
        """The share of the texts that would fit."""
        return max(0.0, min(1.0, self.for_texts / max(1, self.texts)))


async def deliver(visit: Visit, asking: Asking, outcome: Outcome) -> tuple[Answer, Outcome]:
    """The answer, and what was sent at last.

    A prompt over the model's limit by our own count, or by what the provider says, is shortened
    to it once if the policy has ``fit_to_window``; else the refusal tells what would fit. Raises
    BadRequest if it can't be made to fit.
    """
    fits = asking.fit.enabled
    if fits and (limit := await asyncio.to_thread(_limit, visit, asking.chat)):
        room = await _room(visit, asking, limit - asking.reserved())
        if _tokens(outcome, room) > room.for_texts:
            outcome, fits = await _shortened(visit, asking, room, outcome), False
    answer = await _sent(visit, asking, outcome)
    refusal = await refused_as_too_long(answer)
    if refusal is None:
        return answer, outcome
    room = await _told(visit, asking, outcome, refusal)
    if not fits:
        return _explained(answer, refusal, room), outcome
    await answer.aclose()
    outcome = await _shortened(visit, asking, room, outcome)
    answer = await _sent(visit, asking, outcome)
    refusal = await refused_as_too_long(answer)
    return (answer if refusal is None else _explained(answer, refusal, room)), outcome


async def _sent(visit: Visit, asking: Asking, outcome: Outcome) -> Answer:
    return await send(visit, await call_for(visit, asking.chat, asking.path, outcome.texts))


def _limit(visit: Visit, chat: Chat) -> int | None:
    """The least that the model's entries take; None if that isn't known."""
    entries = visit.parts.entries.find(chat.model, visit.tenant)
    known = [limit for limit in map(input_limit_of, entries) if limit is not None]
    return min(known, default=None)


async def _room(visit: Visit, asking: Asking, limit: float) -> Room:
    chat, count = asking.chat, encoding(asking.encoding)
    hands = visit.parts.scheduler.in_thread
    texts, beside = await hands(len(chat.body), _counted, chat, count)
    return Room(int(limit), texts, beside)


def _counted(chat: Chat, encoding: Encoding) -> tuple[int, int]:
    texts = sum(encoding.count(text.value) for text in chat.texts.values())
    calls = [message.fields.get("tool_calls") for message in chat.messages]
    raws = [chat.fields.get(name) for name in _BESIDE] + calls
    beside = [bytes(raw).decode() for raw in raws if raw is not None and kind_of(raw) != "null"]
    return texts, sum(map(encoding.count, beside)) + _A_MESSAGE * len(chat.messages)


def _tokens(outcome: Outcome, room: Room) -> int:
    """Tokens of the texts as they would be sent."""
    saved = sum(r.tokens_before - r.tokens_after for r in outcome.results if not r.reason)
    return room.texts - (saved if outcome.texts else 0)


async def _told(visit: Visit, asking: Asking, outcome: Outcome, refusal: TooLong) -> Room:
    """The room by what the provider says, in our own tokens: its count may differ from ours."""
    limit = refusal.limit or await asyncio.to_thread(_limit, visit, asking.chat)
    whole = await _room(visit, asking, 0)
    sent = _tokens(outcome, whole) + whole.beside
    if limit is None or (refusal.prompt is None and sent < limit):
        return replace(whole, limit=int(_GUESS * sent))
    scale = max(1.0, (refusal.prompt or sent) / max(1, sent))
    return replace(whole, limit=int(_SLACK * (limit - asking.reserved(refusal)) / scale))


async def _shortened(visit: Visit, asking: Asking, room: Room, outcome: Outcome) -> Outcome:
    """All texts that may be touched at one rate, so that they fit together.

    What there was already, if that fails and the policy says ``on_error: pass``.

    Raises BadRequest if what must stay is too much already.
    """
    policy = asking.route.policy
    assert policy is not None  # noqa: S101 - one without a policy has no wish to fit
    asked = policy if policy.question != "none" else policy.model_copy(update={"question": "auto"})
    route = replace(asking.route, policy=asked)
    passages = await passages_of(visit, asking.chat, route)
    fixed, blocks, rest = await visit.parts.scheduler.in_thread(
        len(asking.chat.body), _parted, passages, encoding(asking.encoding)
    )
    rate, reached = (room.for_texts - fixed - blocks) / max(1, rest), 0
    for _ in range(_ROUNDS):
        if rate <= 0:
            break
        at = replace(route, policy=_at(asked, min(rate, 1.0)))
        eased = tuple(_eased(passage, min(rate, 1.0)) for passage in passages)
        results, failure = await compress(visit, at, asking.chat, eased, asking.encoding)
        reached = sum(result.tokens_after for result in results)
        if failure:
            return outcome
        if reached <= room.for_texts:
            return await _settled(visit, asking, eased, results, rate)
        words = max(1, reached - fixed - blocks)
        rate *= _SLACK * (room.for_texts - fixed - blocks) / words
    raise _too_much(room, reached or fixed + blocks)


def _parted(passages: tuple[Passage, ...], encoding: Encoding) -> tuple[int, int, int]:
    """Tokens of texts that stay, of blocks within others that do, and of all the rest."""
    fixed = blocks = rest = 0
    for passage in passages:
        tokens = encoding.count(passage.text)
        if passage.reason or tokens < _SHORT:
            fixed += tokens
            continue
        within = sum(encoding.count(passage.text[m.start : m.end]) for m in passage.intact)
        blocks, rest = blocks + within, rest + tokens - within
    return fixed, blocks, rest


def _at(policy: Policy, rate: float) -> Policy:
    how: dict[str, Any] = {"rate": rate, "target_tokens": None, "threshold": None}
    how |= {"budget": "global", "deadline_ms": policy.fit_to_window.deadline_ms}
    free = {"min_tokens": _SHORT, "min_saving": 0, "pays_over": 0}
    return policy.model_copy(update=how | free)


def _eased(passage: Passage, rate: float) -> Passage:
    """No part of a text keeps more than the rate, for it was not asked to fit."""
    regions = (
        region if region.rate is None else replace(region, rate=min(rate, region.rate))
        for region in passage.regions
    )
    return replace(passage, regions=tuple(regions))


async def _settled(
    visit: Visit,
    asking: Asking,
    passages: tuple[Passage, ...],
    results: tuple[Compressed, ...],
    rate: float,
) -> Outcome:
    model = asking.chat.model
    outcome = await settle(visit, asking.route, model, passages, (results, ""), asking.encoding)
    receipt = outcome.receipt
    reason = f"fit to window at rate {min(rate, 1.0):.3f}: {receipt.reason}"
    visit.receipt = replace(receipt, stable=False, reason=reason)
    return replace(outcome, receipt=visit.receipt)


def _too_much(room: Room, reached: int) -> BadRequest:
    return BadRequest(
        f"The prompt has about {room.texts + room.beside:,} tokens, and the model takes "
        f"{max(0, room.limit):,} beside its answer. What the policy keeps whole leaves "
        f"{reached + room.beside:,} at least: send less, ask for a shorter answer, or use a model "
        "with a longer context.",
        code="context_length_exceeded",
        param="messages",
    )


def _explained(answer: Answer, refusal: TooLong, room: Room) -> Answer:
    """The provider's refusal, with what would fit."""
    inner = refusal.error.get("error")
    if not isinstance(inner, dict) or not isinstance(inner.get("message"), str):
        return answer
    fitting = (
        f"a rate of {room.rate:.2f} would fit (x-precis-rate, or fit_to_window in the policy)"
        if room.rate >= 0.01
        else "no rate makes that fit"
    )
    said = (
        f"{inner['message']} Precis counts about {room.texts + room.beside:,} tokens as they came, "
        f"for {max(0, room.limit):,} of room; {fitting}."
    )
    body = json.dumps({**refusal.error, "error": {**inner, "message": said}}).encode("ascii")
    return answer.instead(body)
