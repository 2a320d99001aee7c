"""The way back: headers that tell what was done, and bytes relayed as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.config_upstreams import ModelEntry
from proxy.errors import UpstreamError
from proxy.ledger import Receipt
from proxy.reply import Relay, decision_headers
from proxy.upstream import Answer

ENTRY = ModelEntry.model_validate({"model_name": "m", "litellm_params": {"model": "echo"}})
Message = dict[str, Any]


def receipt(**changes: Any) -> Receipt:
    fields: dict[str, Any] = {
        "id": "req_1", "created": 1.0, "tenant": "acme", "model": "m", "policy": "default",
        "decision": "compressed", "reason": "compressed", "stable": True, "tokens_before": 10,
        "tokens_after": 4, "encoding": "cl100k_base", "compressor": "builtin",
        "ms": {"compress": 1.234, "overhead": 5.678},
    }  # fmt: skip
    return Receipt(**fields | changes)


class Body:
    """An upstream's body that may break, and knows whether it was closed."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces, self.closed = pieces, 0

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def close(self) -> None:
        self.closed += 1

    def answer(self, *headers: tuple[bytes, bytes], status: int = 200) -> Answer:
        return Answer(status, list(headers), self.chunks(), entry=ENTRY, close=self.close)


async def relay(answer: Answer, break_at: int = -1) -> tuple[list[Message], list[bool]]:
    """What the server is told, and how the answer ended; the client goes at a message."""
    told: list[Message] = []
    ended: list[bool] = []

    async def send(message: Any) -> None:
        if len(told) == break_at:
            raise OSError("the client has gone")
        told.append(message)

    async def receive() -> Message:
        raise AssertionError("a relay reads nothing")

    try:
        relay = Relay(answer, [(b"x-precis-id", b"1")], lambda whole, usage: ended.append(whole))
        await relay({}, receive, send)
    except OSError:
        assert break_at >= 0
    return told, ended


async def test_every_piece_is_sent_on_by_itself() -> None:
    body = Body(b"a", b"", b"bc")
    told, ended = await relay(body.answer((b"X-Limit", b"7"), status=429))
    assert told[0]["status"] == 429
    assert told[0]["headers"] == [(b"X-Limit", b"7"), (b"x-precis-id", b"1")]
    assert [m["body"] for m in told[1:]] == [b"a", b"", b"bc", b""]
    assert [m.get("more_body", False) for m in told[1:]] == [True, True, True, False]
    assert (ended, body.closed) == ([True], 1)


async def test_a_cut_answer_has_no_end() -> None:
    body = Body(b"a", UpstreamError("It broke off."))
    told, ended = await relay(body.answer())
    assert [m.get("more_body") for m in told[1:]] == [True]
    assert (ended, body.closed) == ([False], 1)


@pytest.mark.parametrize("at", range(4))
async def test_whenever_the_client_goes_the_upstream_is_closed(at: int) -> None:
    body = Body(b"a", b"b")
    _, ended = await relay(body.answer(), break_at=at)
    assert (ended, body.closed) == ([False], 1)


async def test_an_upstreams_own_decision_is_left_out() -> None:
    told, _ = await relay(Body().answer((b"X-Precis-Decision", b"shadow"), (b"etag", b"1")))
    assert told[0]["headers"] == [(b"etag", b"1"), (b"x-precis-id", b"1")]


def test_headers_tell_what_was_done() -> None:
    assert dict(decision_headers(receipt())) == {
        b"x-precis-request-id": b"req_1",
        b"x-precis-decision": b"compressed",
        b"x-precis-reason": b"compressed",
        b"x-precis-policy": b"default",
        b"x-precis-tokens-before": b"10",
        b"x-precis-tokens-after": b"4",
        b"x-precis-tokens-saved": b"6",
        b"x-precis-ms": b"1.23",
        b"x-precis-overhead-ms": b"5.68",
        b"x-precis-cache": b"off",
    }


def test_nothing_is_told_of_tokens_that_nobody_counted() -> None:
    names = dict(decision_headers(receipt(tokens_before=None, tokens_after=None, policy="")))
    assert not [name for name in names if b"tokens" in name]
    assert names[b"x-precis-policy"] == b""


def test_a_policys_name_in_any_script_is_no_broken_header() -> None:
    assert dict(decision_headers(receipt(policy="合规")))[b"x-precis-policy"] == b"??"
