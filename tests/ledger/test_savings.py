"""Net savings: what the provider's cache would have given anyway is not counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.ledger.savings import savings
from proxy.ledger.usage import Usage
from proxy.prices import Price
from proxy.types import Decision

PRICE = Price(input=1e-6, cached=1e-7, output=4e-6)


def done(before: int, after: int, role: str = "user") -> Decision:
    return Decision(0, None, role, "compressed", "", before, after, "", "", ())


CONVERSATION = [done(4000, 2000), done(500, 500, "assistant"), done(3000, 1500)]


def test_without_word_of_a_cache_net_is_gross() -> None:
    for usage in (None, Usage(4000, None, 5), Usage(4000, 0, 5)):
        found = savings(CONVERSATION, usage, PRICE)
        assert (found.gross_tokens, found.net_tokens) == (3500, 3500)
        assert found.gross_usd == found.net_usd == pytest.approx(3500e-6)


def test_what_was_saved_in_cached_messages_saves_the_price_of_cached_tokens() -> None:
    found = savings(CONVERSATION, Usage(4000, 2500, 5), PRICE)  # the first two messages
    assert (found.gross_tokens, found.net_tokens) == (3500, 1500)
    assert found.net_usd == pytest.approx(1500e-6 + 2000e-7)


def test_a_message_that_is_cached_in_part_counts_in_part() -> None:
    assert savings(CONVERSATION, Usage(4000, 1000, 5), PRICE).net_tokens == 2500


def test_a_prompt_that_became_too_short_for_the_cache_may_have_cost() -> None:
    turns = [done(1500, 700), done(100, 100, "assistant"), done(400, 180)]
    found = savings(turns, Usage(980, 0, 5), PRICE)
    assert (found.gross_tokens, found.net_tokens) == (1020, 1020 - 1600)
    assert found.net_usd is not None and found.net_usd < 0
    first_turn = savings(turns[:1], Usage(700, 0, 5), PRICE)  # nothing was there to be cached
    assert first_turn.net_tokens == first_turn.gross_tokens == 800


def test_in_shadow_the_provider_counted_the_original() -> None:
    found = savings(CONVERSATION, Usage(7500, 4500, 5), PRICE, shadow=True)
    assert (found.gross_tokens, found.net_tokens) == (3500, 1500)
    short = [done(1500, 700), done(100, 100, "assistant"), done(200, 100)]
    assert savings(short, Usage(1800, 1536, 5), PRICE, shadow=True).net_tokens == 900 - 1536


def test_a_prefix_that_a_change_of_the_rate_broke_is_taken_off() -> None:
    """Its 2,500 tokens would have come from the cache; they were paid in full once more."""
    usage = Usage(4000, 0, 5)
    found = savings(CONVERSATION, usage, PRICE, broken=True)
    assert (found.gross_tokens, found.net_tokens) == (3500, 1000)
    assert found.gross_usd == pytest.approx(3500e-6)
    assert found.net_usd == pytest.approx(3500e-6 - 2500 * (1e-6 - 1e-7))
    assert savings(CONVERSATION, usage, PRICE).net_tokens == 3500


def test_what_the_cache_still_had_of_a_broken_prefix_is_no_loss() -> None:
    whole = savings(CONVERSATION, Usage(4000, 2432, 5), PRICE)  # to within a block
    assert savings(CONVERSATION, Usage(4000, 2432, 5), PRICE, broken=True) == whole
    half = savings(CONVERSATION, Usage(4000, 1280, 5), PRICE, broken=True)
    assert half.net_tokens == 3500 - 1280 - (2500 - 1280)


def test_without_a_prefix_in_a_cache_a_change_costs_nothing() -> None:
    first_turn = [done(4000, 2000)]
    small = [done(900, 500), done(500, 500, "assistant"), done(3000, 1500)]
    for turns, usage in (
        (first_turn, Usage(2000, 0, 5)),
        (small, Usage(2500, 0, 5)),  # 1,000 tokens are cached nowhere
        (CONVERSATION, Usage(4000, None, 5)),  # a provider that tells of no cache
        (CONVERSATION, None),
    ):
        assert savings(turns, usage, PRICE, broken=True) == savings(turns, usage, PRICE)


def test_in_shadow_no_rate_changes_anything() -> None:
    usage = Usage(7500, 0, 5)
    found = savings(CONVERSATION, usage, PRICE, shadow=True, broken=True)
    assert found == savings(CONVERSATION, usage, PRICE, shadow=True)


def test_without_a_price_tokens_are_counted_alone() -> None:
    found = savings(CONVERSATION, Usage(4000, 2500, 5), None)
    assert (found.net_tokens, found.gross_usd, found.net_usd) == (1500, None, None)


messages = st.lists(
    st.tuples(st.integers(1, 5000), st.floats(0.05, 1)).map(
        lambda pair: done(pair[0], max(1, int(pair[0] * pair[1])))
    ),
    min_size=1,
    max_size=8,
)


@given(messages, st.floats(0, 1))
def test_net_is_what_the_bill_would_have_been_less_what_it_was(
    turns: list[Decision], cached: float
) -> None:
    """Against the slow way: token by token, each sent token stands for those it came from."""
    sent = sum(turn.tokens_after for turn in turns)
    usage = Usage(sent, int(cached * sent), 0)
    bill_before = bill_after = 0.0
    at = 0
    for turn in turns:
        for _ in range(turn.tokens_after):
            price = PRICE.cached if at < (usage.cached_tokens or 0) else PRICE.input
            at += 1
            bill_after += price
            bill_before += price * turn.tokens_before / turn.tokens_after
    found = savings(turns, usage, PRICE)
    assert 0 <= found.net_tokens <= found.gross_tokens
    if usage.cached_tokens or sent >= 1024:
        assert found.net_usd == pytest.approx(bill_before - bill_after, abs=2e-6)
