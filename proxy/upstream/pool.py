"""All model entries as one: shared load, retries, fallbacks and time-outs. Knows no protocol.

A call is tried again only while nothing of an answer's body has been passed on. If every try
fails, the last answer of a provider is the answer; if there never was one, the error is raised.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from proxy.config_upstreams import ModelEntry, RouterSettings
from proxy.errors import NotFound, UpstreamError, UpstreamTimeout
from proxy.upstream import backoff
from proxy.upstream.bases import is_messages, place
from proxy.upstream.call import Answer, Call, Provider, Timeouts
from proxy.upstream.echo import Echo
from proxy.upstream.litellm import LiteLLM
from proxy.upstream.openai_http import OpenAIHttp
from proxy.upstream.share import Share

Find = Callable[[str], Sequence[ModelEntry]]
"""Public name -> the entries that share its load. Raises NotFound."""

MAX_REFUSAL = 1 << 20
"""Bytes of a failed answer that are kept while other tries are made; a longer one is final."""
MAX_NAMES = 1000
"""Names whose turns are remembered; wildcards make their number the clients' choice."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A try that may be worth another."""

    asked: float | None = None
    """Seconds that the provider asks to wait."""


@dataclass(slots=True)
class Trip:
    """How far one call has come."""

    call: Call
    deadline: float
    """The event loop's time after which no more tries are made."""
    answer: Answer | None = None
    """The last one that a provider gave; failed ones are read to their end."""
    error: UpstreamError | None = None
    tries: int = 0

    def result(self) -> Answer:
        """The last answer, or else the last error."""
        if self.answer is not None:
            self.answer.retries = self.tries - 1
            return self.answer
        assert self.error is not None  # noqa: S101 - a try ends in either
        raise self.error


class Pool:
    """The way to all models of ``model_list``."""

    def __init__(
        self,
        model_list: Sequence[ModelEntry],
        router_settings: RouterSettings,
        find: Find | None = None,
    ) -> None:
        """``find`` looks names up that are not written out, such as wildcards' (default: none are).

        Raises ConfigError for an entry that leads nowhere.
        """
        self._settings = router_settings
        self._find = find or _exact(model_list)
        self._shares: dict[str, Share] = {}
        self._first = {
            path: _first(model_list, path) for path in ("/chat/completions", "/messages")
        }
        self._fallbacks: dict[str, list[str]] = {}
        for names in router_settings.fallbacks:
            self._fallbacks.update(names)
        self._providers: dict[str, Provider] = {
            "http": OpenAIHttp(),
            "litellm": LiteLLM(),
            "echo": Echo(),
        }

    async def send(self, call: Call) -> Answer:
        """Answer the call by the entries of its model's name, then by those of its fallbacks.

        Returns once the first piece of the body is there; the caller closes the answer.
        Cancelling it hangs up on the provider. Raises UpstreamError, UpstreamTimeout, NotFound
        for a name that nobody serves, BadRequest for a call that its provider can't take.
        """
        trip = Trip(call, _now() + self._settings.timeout)
        fallbacks = filter(call.allows, self._fallbacks.get(call.model, ()))
        for name in (call.model, *fallbacks):
            if await self._settle(trip, self._share(name)):
                break
        return trip.result()

    async def forward(self, call: Call) -> Answer:
        """Pass on a call of any path: to its model's entries, else the first OpenAI-compatible one.

        Retries as ``send`` does, without fallbacks: another provider need not know such a path.
        """
        trip = Trip(call, _now() + self._settings.timeout)
        await self._settle(trip, self._share_for_forward(call))
        return trip.result()

    async def aclose(self) -> None:
        """Close all connections."""
        for provider in self._providers.values():
            await provider.aclose()

    def _share(self, name: str) -> Share:
        share = self._shares.get(name)
        if share is None:
            share = self._shares[name] = Share(self._find(name))
            if len(self._shares) > MAX_NAMES:
                del self._shares[next(iter(self._shares))]
        return share

    def _share_for_forward(self, call: Call) -> Share:
        try:
            return self._share(call.model)
        except NotFound:
            first = self._first["/messages" if is_messages(call.path) else "/chat/completions"]
            if first.entries:
                return first
            raise NotFound(
                "There is no OpenAI-compatible model to pass this call on to; "
                "add one to model_list, or name a model that is there.",
                code="model_not_found",
            ) from None

    async def _settle(self, trip: Trip, share: Share) -> bool:
        """Try the entries of one name; whether that gave an answer to pass on as it is."""
        failures = 0
        while True:
            index = share.pick(_now(), trip.call.conversation)
            entry = share.entries[index]
            trip.tries += 1
            failure = await self._try(trip, entry)
            if failure is None:
                share.recover(index)
                return True
            failures += 1
            share.rest(index, _now() + backoff.cool_down(failure.asked))
            limit = entry.litellm_params.max_retries
            if failures > (self._settings.num_retries if limit is None else limit):
                return False
            pause = self._pause(share, failures, failure.asked)
            if _now() + pause >= trip.deadline:
                return False
            await asyncio.sleep(pause)

    def _pause(self, share: Share, failures: int, asked: float | None) -> float:
        """Seconds before the next try: none if another entry can take it."""
        if share.any_awake(_now()):
            return 0.0
        dice = random.random()  # noqa: S311 - spreads load, guards nothing
        return backoff.delay(failures, self._settings.retry_after, dice) if asked is None else asked

    async def _try(self, trip: Trip, entry: ModelEntry) -> Failure | None:
        """One try. An answer that is to go to the client as it is counts as no failure."""
        try:
            answer = await self._ask(trip.call, entry, trip.deadline)
        except UpstreamError as exc:
            trip.error = exc
            return Failure()
        trip.answer = answer
        if not backoff.worth_another_try(answer) or not answer.ended:
            return None
        await answer.aclose()
        return Failure(backoff.retry_after(answer, time.time()))

    async def _ask(self, call: Call, entry: ModelEntry, deadline: float) -> Answer:
        """The entry's answer with the first piece of its body, or all of a refusal's."""
        params = entry.litellm_params
        if params.timeout is not None and not call.stream:
            deadline = min(deadline, _now() + params.timeout)
        try:
            async with asyncio.timeout_at(deadline):
                provider = self._providers[place(entry, call.path).kind]
                answer = await provider.send(call, entry, self._timeouts(call, entry))
        except TimeoutError as exc:
            raise UpstreamTimeout(
                f"The model {entry.model_name!r} ({params.model}) did not answer in time; "
                "raise 'timeout' if it needs longer."
            ) from exc
        await _begin(answer, deadline)
        if call.stream or _is_event_stream(answer):
            answer.deadline = None
        return answer

    def _timeouts(self, call: Call, entry: ModelEntry) -> Timeouts:
        """A whole answer may take all its time before the first byte; a stream may not."""
        params, settings = entry.litellm_params, self._settings
        if call.stream:
            read = params.stream_timeout or params.timeout or settings.stream_timeout
        else:
            read = params.timeout or settings.timeout
        return Timeouts(connect=settings.connect_timeout, read=read)


async def _begin(answer: Answer, deadline: float) -> None:
    answer.deadline = deadline
    try:
        await answer.read_ahead(MAX_REFUSAL if backoff.worth_another_try(answer) else 1)
    except BaseException:
        await answer.aclose()
        raise


def _is_event_stream(answer: Answer) -> bool:
    """Streams of paths that we know nothing of, such as ``/responses``."""
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in answer.headers
    )


def _first(model_list: Sequence[ModelEntry], path: str) -> Share:
    """The first entry that takes such a path as it is; Anthropic's own for its own protocol."""
    places = [(entry, place(entry, path)) for entry in model_list]
    http = [(entry, where.protocol) for entry, where in places if where.kind == "http"]
    native = [entry for entry, protocol in http if is_messages(path) == (protocol == "anthropic")]
    return Share((native or [entry for entry, _ in http])[:1])


def _exact(model_list: Sequence[ModelEntry]) -> Find:
    entries: dict[str, list[ModelEntry]] = {}
    for entry in model_list:
        entries.setdefault(entry.model_name, []).append(entry)

    def find(name: str) -> Sequence[ModelEntry]:
        if name in entries:
            return entries[name]
        raise NotFound(
            f"The model {name[:100]!r} does not exist here.", code="model_not_found", param="model"
        )

    return find


def _now() -> float:
    return asyncio.get_running_loop().time()
