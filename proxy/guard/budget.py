"""What comparisons may cost: calls an hour and dollars a day. Pure; the clock is passed in.

Money is set aside before a call and put right after it, so that requests side by side do not each
spend the last cent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

_HOUR, _DAY = 3600, 86_400


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a route's comparisons may take."""

    calls_per_hour: int
    usd_per_day: float | None = None
    """None: not limited."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What they have taken in the hour and the day that are running, in UTC."""

    hour: int = 0
    calls: int = 0
    day: int = 0
    usd: float = 0.0


def reserve(
    budget: Budget, spent: Spent, calls: int, usd: float | None, now: float
) -> Spent | None:
    """With so many calls of that price set aside; None if the budget does not have them.

    ``usd`` is None where nobody knows the price: then a budget in dollars has nothing for it.
    """
    spent = _running(spent, now)
    if spent.calls + calls > budget.calls_per_hour:
        return None
    most = budget.usd_per_day
    if most is not None and (usd is None or spent.usd + usd > most):
        return None
    return replace(spent, calls=spent.calls + calls, usd=spent.usd + (usd or 0.0))


def settle(spent: Spent, reserved: float, actual: float, now: float) -> Spent:
    """With what was set aside replaced by what it cost."""
    today = _running(spent, now)
    if today.day != spent.day:  # what was set aside has gone with its day
        reserved = 0.0
    return replace(today, usd=max(0.0, today.usd + actual - reserved))


def _running(spent: Spent, now: float) -> Spent:
    """The counts of this hour and day. A clock that is set back refills nothing."""
    hour, day = max(spent.hour, int(now // _HOUR)), max(spent.day, int(now // _DAY))
    return Spent(
        hour,
        spent.calls if hour == spent.hour else 0,
        day,
        spent.usd if day == spent.day else 0.0,
    )
