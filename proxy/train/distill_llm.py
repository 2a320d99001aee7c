"""Asks a teacher for one answer: over an OpenAI-compatible URL, or through litellm; and again.

A failure is one of three: of this try (``TryAgain``), of this chunk (``GiveUp``), of the whole run
(UpstreamError: a wrong key or URL will not get better with the next chunk). The authors' script
catches every exception, sleeps a minute and tries for ever, wrong keys included.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import TracebackType
from typing import Any, Protocol

import httpx

from proxy.config_upstreams import ModelEntry
from proxy.errors import UpstreamError, UpstreamTimeout
from proxy.upstream.call import Call, Timeouts
from proxy.upstream.litellm import LiteLLM

PATIENCE_S = 600.0
"""A provider that asks for a longer wait than this ends the run; resuming is free."""
CONNECT_S = 15.0
_AGAIN = frozenset({408, 409, 425, 429})
_HOPELESS = frozenset({401, 402, 404, 405})


class TryAgain(Exception):
    """This try failed; another may not. ``wait_s`` is what the provider asked for, or None."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class GiveUp(Exception):
    """This chunk gets no answer in this run; the text says why."""


class Stopped(Exception):
    """The run was asked to end while this chunk was waiting for its next try."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Token counts are None where the provider did not tell."""

    text: str
    finish_reason: str
    refusal: bool = False
    tokens_in: int | None = None
    tokens_out: int | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """All of a request but the text."""

    model: str
    instruction: str
    temperature: float
    max_tokens: int | None = None
    timeout_s: float = 300.0
    api_key: str = field(default="", repr=False)

    def body(self, text: str) -> dict[str, Any]:
        """The fields of a chat completion."""
        messages = [
            {"role": "system", "content": self.instruction},
            {"role": "user", "content": text},
        ]
        body = {"model": self.model, "messages": messages, "temperature": self.temperature}
        return body if self.max_tokens is None else body | {"max_tokens": self.max_tokens}


class Teacher(Protocol):
    """One try at one chunk; raises TryAgain, GiveUp or UpstreamError."""

    async def __aenter__(self) -> Teacher: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    async def ask(self, text: str) -> Answer: ...


class HttpTeacher:
    """``POST {base_url}/chat/completions``; an empty key sends no Authorization."""

    def __init__(self, base_url: str, question: Question, concurrency: int) -> None:
        self.question = question
        self.url = base_url.rstrip("/").removesuffix("/chat/completions") + "/chat/completions"
        headers = {"content-type": "application/json"}
        if question.api_key:
            headers["authorization"] = f"Bearer {question.api_key}"
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(question.timeout_s, connect=CONNECT_S, pool=None),
            limits=httpx.Limits(max_connections=concurrency),
        )

    async def __aenter__(self) -> HttpTeacher:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def ask(self, text: str) -> Answer:
        """One request. A time-out is not tried again: the answer may well have been charged."""
        # json.dumps escapes lone surrogates, which httpx's own encoding refuses.
        content = json.dumps(self.question.body(text)).encode()
        try:
            response = await self._client.post(self.url, content=content)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as exc:
            raise UpstreamError(f"{self.url} is no URL that can be asked: {exc}") from exc
        except httpx.ReadTimeout as exc:
            raise GiveUp(f"no answer within {self.question.timeout_s:g} s") from exc
        except httpx.TransportError as exc:
            raise TryAgain(f"{type(exc).__name__}: {exc}") from exc
        return understand(response.status_code, response.headers, response.content)


class LitellmTeacher:
    """Any provider that litellm knows, by its model names (``mistral/mistral-small-latest``).

    litellm itself is behind ``proxy.upstream.litellm`` and imported with the first request.
    """

    def __init__(self, question: Question) -> None:
        self.question = question
        params = {"model": question.model, "api_key": question.api_key or None}
        self._entry = ModelEntry.model_validate({"model_name": "teacher", "litellm_params": params})
        self._provider = LiteLLM()

    async def __aenter__(self) -> LitellmTeacher:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._provider.aclose()

    async def ask(self, text: str) -> Answer:
        """One call without litellm's own retries, so that each try is ours to count."""
        body = json.dumps(self.question.body(text)).encode()
        call = Call("POST", "/chat/completions", "", (), body, self.question.model, stream=False)
        try:
            timeouts = Timeouts(connect=CONNECT_S, read=self.question.timeout_s)
            answer = await self._provider.send(call, self._entry, timeouts)
            content = await answer.read()
        except UpstreamTimeout as exc:
            raise GiveUp(f"no answer within {self.question.timeout_s:g} s") from exc
        except UpstreamError as exc:
            raise TryAgain(exc.message) from exc
        headers = {name.decode(): value.decode("latin-1") for name, value in answer.headers}
        return understand(answer.status, headers, content)


def understand(status: int, headers: Mapping[str, str], content: bytes) -> Answer:
    """The answer in a response, or what its status means, raised. ``headers`` in lower case."""
    if status != HTTPStatus.OK:
        raise judge(status, content.decode(errors="replace"), wait_asked(headers))
    try:
        return answer_of(json.loads(content))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as exc:
        raise GiveUp(f"not a chat completion: {content[:200]!r}") from exc


def answer_of(body: Mapping[str, Any]) -> Answer:
    """The first choice of a chat completion. Raises KeyError and the like if it is none."""
    choice, usage = body["choices"][0], body.get("usage") or {}
    message = choice["message"]
    text = message.get("content") or ""
    if not isinstance(text, str):
        raise TypeError(f"content is a {type(text).__name__}")
    return Answer(
        text,
        str(choice.get("finish_reason") or ""),
        bool(message.get("refusal")),
        usage.get("prompt_tokens"),
        usage.get("completion_tokens"),
    )


def judge(status: int, body: str, wait_s: float | None) -> Exception:
    """What a status other than 200 means: for the try, the chunk, or the run."""
    reason = f"HTTP {status}: {' '.join(body.split())[:200]}"
    if "insufficient_quota" in body or status in _HOPELESS or status < 400:
        return UpstreamError(reason)
    if status in _AGAIN or status >= 500:
        return TryAgain(reason, wait_s)
    return GiveUp(reason)


def wait_asked(headers: Mapping[str, str]) -> float | None:
    """Seconds from ``retry-after-ms`` or ``Retry-After`` (a number or a date, RFC 9110)."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        value = headers.get("retry-after", "")
        if value.strip().isdigit():
            return float(value)
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


class Persistent:
    """Asks a teacher until it answers, waiting longer each time, as long as asked to.

    A wait that the provider asks for holds back the other chunks too, which would only be turned
    away and lengthen it.
    """

    def __init__(
        self, teacher: Teacher, stop: asyncio.Event, retries: int = 6, backoff_s: float = 1.0
    ) -> None:
        self.teacher = teacher
        self.stop = stop
        self.retries = retries
        self.backoff_s = backoff_s
        self._resume_at = 0.0

    async def ask(self, text: str) -> Answer:
        """Raises GiveUp, UpstreamError, or Stopped if ``stop`` was set during a wait."""
        for attempt in range(self.retries + 1):
            await self._wait(self._resume_at - time.monotonic())
            try:
                return await self.teacher.ask(text)
            except TryAgain as exc:
                if attempt == self.retries:
                    raise GiveUp(f"{attempt + 1} tries, at last {exc}") from exc
                await self._hold(exc, attempt)
        raise AssertionError("unreachable: the last try returns or raises")

    async def _hold(self, failure: TryAgain, attempt: int) -> None:
        if failure.wait_s is None:
            # Jitter, so that chunks which failed together don't come back together.
            longest = min(60.0, self.backoff_s * 2**attempt)
            await self._wait(random.uniform(longest / 2, longest))  # noqa: S311 - no secret
        elif failure.wait_s > PATIENCE_S:
            raise UpstreamError(f"asked to wait {failure.wait_s:.0f} s; run again then ({failure})")
        else:
            self._resume_at = max(self._resume_at, time.monotonic() + failure.wait_s)

    async def _wait(self, seconds: float) -> None:
        if self.stop.is_set():
            raise Stopped
        if seconds <= 0:
            return
        try:
            await asyncio.wait_for(self.stop.wait(), seconds)
        except TimeoutError:
            return
        raise Stopped
