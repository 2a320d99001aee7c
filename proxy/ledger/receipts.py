"""One receipt a request: decisions, sizes, hashes and masks, without any text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import msgspec

from proxy.errors import NotFound
from proxy.ledger.comparison import Comparison
from proxy.ledger.savings import Savings, savings
from proxy.ledger.usage import Usage
from proxy.prices import Price
from proxy.spans import Span, Spans
from proxy.types import Decision


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was decided for one request, and why."""

    id: str
    created: float
    """Seconds since the epoch."""
    tenant: str
    """Empty without tenants."""
    model: str
    policy: str
    """Name of the policy; empty where none applied."""
    decision: str
    """``compressed``, ``unchanged``, ``bypassed``, ``shadow``, ``failed-open``; or ``failed`` if
    the request ended in an error before it was decided."""
    reason: str
    stable: bool
    """Whether the same messages always give the same bytes; false where a request failed open."""
    tokens_before: int | None
    """In the upstream's encoding, all texts of the messages; None where nothing was counted."""
    tokens_after: int | None
    encoding: str
    compressor: str
    """Name of the classifier; empty where nothing was compressed."""
    messages: tuple[Decision, ...] = ()
    ms: Mapping[str, float] = field(default_factory=dict)
    """Milliseconds per stage: tokenize, score, select; compress is their sum; overhead is all of
    ours, and upstream the wait for the answer's head."""
    policy_fingerprint: str = ""
    """Of the policy as it resolved for this request, overlays and headers included."""
    compressor_fingerprint: str = ""
    """Changes whenever the classifier's scores may."""
    version: str = ""
    """Of Precis: the rules for what is protected change with it."""
    status: int | None = None
    """HTTP status of the answer; None while there is none."""
    error: str = ""
    """Code of the error of ours that the request ended in."""
    cache: str = "off"
    """Whether scores came from the cache: ``hit``, ``partial``, ``miss``, or ``off`` where none
    were asked for."""
    whole: bool | None = None
    """Whether the answer came and went to its end; None while it is under way."""
    upstream: str = ""
    """The model that answered, as ``litellm_params.model`` has it."""
    usage: Usage | None = None
    """What the upstream counted, where it told."""
    savings: Savings | None = None
    """What was saved, gross and net of the provider's cache and of the quality guard's costs."""
    raised: float = 0.0
    """By how much the quality guard had raised the policy's rate."""
    rate_changed: bool = False
    """Whether it had changed that so lately that a conversation's cached prefix may have gone."""
    comparison: Comparison | None = None
    """How far the answer agreed with that to the original, if that was asked for too."""
    endpoint: str = ""
    """The path of ours that was asked, below ``/v1``: ``/chat/completions``; it says how the
    places of the texts are counted."""

    @property
    def saved(self) -> int:
        return (self.tokens_before or 0) - (self.tokens_after or 0)

    def ended(self, whole: bool, usage: Usage | None, price: Price | None) -> Receipt:
        """The receipt with what the upstream counted, and what that makes of the savings."""
        if self.tokens_before is None:
            return replace(self, whole=whole, usage=usage)
        shadow, broken = self.decision == "shadow", self.rate_changed
        saved = savings(self.messages, usage, price, shadow=shadow, broken=broken)
        return replace(self, whole=whole, usage=usage, savings=saved)

    def compared(self, comparison: Comparison) -> Receipt:
        """The receipt with a comparison in it, and with its costs taken off what was saved."""
        saved = self.savings
        if saved is not None:
            usd = saved.net_usd
            saved = replace(
                saved,
                net_tokens=saved.net_tokens - comparison.prompt_tokens,
                net_usd=None if usd is None else usd - (comparison.usd or 0.0),
            )
        return replace(self, comparison=comparison, savings=saved)

    def answered(
        self, status: int, spent: Mapping[str, float], *, error: str = "", upstream: str = ""
    ) -> Receipt:
        """The receipt with how the request ended.

        ``spent``: milliseconds of all of our time, and of the upstream's. ``error`` is the code
        of an error of ours.
        """
        ms = {**self.ms, **spent}
        return replace(self, status=status, error=error, upstream=upstream, ms=ms)


class Receipts(Protocol):
    """Where receipts are kept: the latest of them, as many as fit."""

    def add(self, receipt: Receipt) -> None:
        """Keep it, in place of an earlier one of the same id. Never waits, never fails."""
        ...

    async def get(self, receipt_id: str, tenant: str) -> Receipt:
        """The receipt, if it is this tenant's.

        Raises NotFound, the same and in the same time whether it never was, has gone, or belongs
        to somebody else.
        """
        ...

    def close(self) -> None:
        """Write down what is not yet written. May take seconds."""
        ...


_DECODER = msgspec.json.Decoder(Receipt)


def encode(told: Any) -> bytes:
    """A receipt, or what is made of one, as JSON."""
    return msgspec.json.encode(told, enc_hook=_plain)


def decode(told: bytes | str) -> Receipt:
    """What ``encode`` gave. Raises msgspec.DecodeError for anything else."""
    receipt = _DECODER.decode(told)
    messages = (replace(done, kept=Spans.of(done.kept)) for done in receipt.messages)
    return replace(receipt, messages=tuple(messages))


def _plain(value: object) -> list[Span]:
    if isinstance(value, Spans):
        return list(value)
    raise NotImplementedError(f"no JSON for a {type(value).__name__}")


def not_found(kept: str) -> NotFound:
    """The one answer for a receipt that cannot be shown; ``kept`` says how many are."""
    return NotFound(
        "No such receipt: ids come from the x-precis-request-id header, and this server "
        f"keeps the latest {kept}.",
        code="receipt_not_found",
    )
