"""A budget that is never exceeded, whatever comes in which order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.guard.budget import Budget, Spent, reserve, settle

NOW = 1_000_000.0


def test_an_hour_has_so_many_calls_and_the_next_one_again() -> None:
    budget = Budget(3)
    spent = reserve(budget, Spent(), 2, None, NOW)
    assert spent is not None
    assert reserve(budget, spent, 2, None, NOW) is None
    assert reserve(budget, spent, 1, None, NOW) is not None
    assert reserve(budget, spent, 2, None, NOW + 3600) is not None


def test_dollars_are_set_aside_and_put_right() -> None:
    budget = Budget(100, usd_per_day=1.0)
    spent = reserve(budget, Spent(), 1, 0.8, NOW)
    assert spent is not None and reserve(budget, spent, 1, 0.3, NOW) is None
    cheaper = settle(spent, 0.8, 0.5, NOW)
    assert cheaper.usd == pytest.approx(0.5)
    assert reserve(budget, cheaper, 1, 0.3, NOW) is not None
    assert settle(spent, 0.8, 0.5, NOW + 86_400).usd == 0.5  # the new day pays what came in it


def test_without_a_price_a_budget_in_dollars_has_nothing() -> None:
    assert reserve(Budget(10, usd_per_day=100.0), Spent(), 1, None, NOW) is None
    assert reserve(Budget(10), Spent(), 1, None, NOW) is not None


asked = st.lists(st.tuples(st.floats(-4000, 4000), st.integers(1, 2), st.floats(0, 0.5)))


@given(asked, st.integers(0, 10), st.floats(0, 2))
def test_no_hour_and_no_day_gets_more_than_its_budget(
    seen: list[tuple[float, int, float]], calls: int, usd: float
) -> None:
    """Not even under a clock that jumps back."""
    budget, spent, now = Budget(calls, usd), Spent(), NOW
    hours: dict[int, int] = {}
    days: dict[int, float] = {}
    for pause, wanted, price in seen:
        now += pause
        after = reserve(budget, spent, wanted, price, now)
        if after is not None:
            spent = after
            hours[spent.hour] = hours.get(spent.hour, 0) + wanted
            days[spent.day] = days.get(spent.day, 0) + price
    assert all(total <= calls for total in hours.values())
    assert all(total <= usd + 1e-9 for total in days.values())
