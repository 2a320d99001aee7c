"""What a compressed request saved, and how much of that the provider's cache had given anyway.

Pure. The prompt cache holds a prefix of what was sent, and compression keeps prefixes: without it
the same messages would have come from the cache, only longer. So what was taken out of cached
messages saves the price of cached tokens, and what was taken out of new ones saves the full price.
Where a rate has just changed, the prefix is compressed anew and the cache has it no more: that it
is paid in full once more is a loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from proxy.ledger.usage import Usage
from proxy.prices import Price
from proxy.types import Decision

LEAST_CACHED = 1024
"""Tokens below which OpenAI and Anthropic cache no prompt."""
_BLOCK = 128
"""Tokens by which OpenAI's cache counts; a smaller difference says nothing."""


@dataclass(frozen=True, slots=True)
class Savings:
    """In shadow mode, what would be saved."""

    gross_tokens: int
    """Tokens taken out of the prompt."""
    net_tokens: int
    """Those of them that would have been paid in full. Negative where a prompt became too short
    for the cache that it would have been in."""
    gross_usd: float | None
    """As if there were no cache; None without a price."""
    net_usd: float | None
    """With the cached ones at the price of cached tokens."""


def savings(
    messages: Sequence[Decision],
    usage: Usage | None,
    price: Price | None,
    *,
    shadow: bool = False,
    broken: bool = False,
) -> Savings:
    """The savings of a request with these texts, which the provider counted like that.

    ``broken``: a change of the rate may have cost the conversation its cached prefix.
    """
    gross = sum(done.tokens_before - done.tokens_after for done in messages)
    anyway = 0
    if usage is not None and gross:
        anyway = (_would_be if shadow else _cached_anyway)(messages, usage)
        anyway += _lost(messages, usage) if broken and not shadow else 0
    if price is None:
        return Savings(gross, gross - anyway, None, None)
    given = anyway * (price.input - price.cached)
    return Savings(gross, gross - anyway, gross * price.input, gross * price.input - given)


def _lost(messages: Sequence[Decision], usage: Usage) -> int:
    """Tokens up to the model's last answer, as they were sent, that the cache did not have.

    The next turn finds them there again, so a change costs each conversation once. What the cache
    had lost in any other way is counted too: rather too much than too little.
    """
    turns = [at for at, done in enumerate(messages) if done.role == "assistant"]
    prefix = sum(done.tokens_after for done in messages[: turns[-1] + 1]) if turns else 0
    if usage.cached_tokens is None or prefix < LEAST_CACHED:
        return 0
    lost = prefix - usage.cached_tokens
    return lost if lost >= _BLOCK else 0


def _cached_anyway(messages: Sequence[Decision], usage: Usage) -> int:
    """Of the saved tokens, those that would not have been paid in full without compression."""
    after = [done.tokens_after for done in messages]
    longer = usage.prompt_tokens + sum(done.tokens_before for done in messages) - sum(after)
    if usage.cached_tokens == 0 and usage.prompt_tokens < LEAST_CACHED <= longer:
        return _prefix(messages)
    return _saved_within(messages, after, _share(usage))


def _would_be(messages: Sequence[Decision], usage: Usage) -> int:
    """The same in shadow mode, where the provider counted the original."""
    before = [done.tokens_before for done in messages]
    shorter = usage.prompt_tokens - sum(before) + sum(done.tokens_after for done in messages)
    if shorter < LEAST_CACHED <= usage.prompt_tokens:  # too short to be cached at all
        return round(_share(usage) * sum(before))
    return _saved_within(messages, before, _share(usage))


def _share(usage: Usage) -> float:
    # Tools and templates count in the provider's numbers and not in ours, and its tokenizer may be
    # another one; shares are comparable.
    return min(1.0, (usage.cached_tokens or 0) / max(1, usage.prompt_tokens))


def _saved_within(messages: Sequence[Decision], sent: Sequence[int], share: float) -> int:
    """The tokens saved in the first ``share`` of the texts as they were sent."""
    left = share * sum(sent)
    saved = 0.0
    for done, size in zip(messages, sent, strict=True):
        covered = min(left, size)
        left -= covered
        if size:
            saved += (done.tokens_before - done.tokens_after) * covered / size
    return round(saved)


def _prefix(messages: Sequence[Decision]) -> int:
    """Tokens of the conversation up to the model's last answer, which the cache would have had."""
    turns = [at for at, done in enumerate(messages) if done.role == "assistant"]
    prefix = sum(done.tokens_before for done in messages[: turns[-1] + 1]) if turns else 0
    return prefix if prefix >= LEAST_CACHED else 0
