"""The quality guard's settings in words, for ``precis check``."""

from __future__ import annotations

from proxy.config_routes import Guard, GuardBudget


def facts(guard: Guard) -> list[tuple[str, str]]:
    """What it compares, what it asks for, what it does then, and what that may take."""
    how = f"the judge {guard.judge}" if guard.judge else guard.compare
    return [
        ("compares", f"{guard.sample * 100:.3g} % of the compressed requests, by {how}"),
        ("floor", f"{guard.floor:g}; the rate sinks again from {guard.floor + guard.margin:g} on"),
        ("raises", f"by {guard.step:g} a step, up to {guard.ceiling:g}"),
        (
            "at most",
            f"once in {guard.min_samples:,} comparisons and {_time(guard.cooldown_s)}",
        ),
        ("spends", _budget(guard.budget)),
    ]


def _budget(budget: GuardBudget) -> str:
    calls = f"up to {budget.calls_per_hour:,} calls an hour"
    if budget.usd_per_day is None:
        return calls
    return f"{calls} and ${budget.usd_per_day:,.2f} a day"


def _time(seconds: float) -> str:
    """``6 h``, ``90 min``, ``30 s``."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:g} s"
