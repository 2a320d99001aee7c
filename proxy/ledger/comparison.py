"""What came of sending a request's original too, in numbers. Neither answer is kept."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.ledger.usage import Usage
from proxy.prices import Price


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison, and what its calls cost beside the client's own."""

    compare: str
    """``exact``, ``f1`` or ``judge``."""
    agreement: float | None
    """In [0, 1]; None if there was nothing to compare."""
    prompt_tokens: int
    completion_tokens: int
    usd: float | None
    """None where a price is not known."""


def cost(usage: Usage, price: Price) -> float:
    """Dollars for one request that the provider counted like that."""
    cached = min(usage.cached_tokens or 0, usage.prompt_tokens)
    full = usage.prompt_tokens - cached
    prompt = full * price.input + cached * price.cached
    return prompt + usage.completion_tokens * price.output
