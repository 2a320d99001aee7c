"""From which size on compression pays, against the obvious way: trying every size."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config import Config
from proxy.config_compressor import Calibration
from proxy.config_policy import Policy, RateStep
from proxy.config_tenants import Tenant, TenantSettings
from proxy.routing import Asked, route
from proxy.routing.breakeven import pays_over

MOST = 3_000
prices = st.sampled_from([0.0, 1e-7, 5e-7, 3e-6, 1.5e-5])
devices = st.builds(
    Calibration,
    value_of_time=st.sampled_from([0.0, 1.0, 5.0, 40.0]),
    prefill_tokens_per_second=st.sampled_from([500.0, 5_000.0, 50_000.0]),
    tokens_per_second=st.sampled_from([300.0, 3_000.0, 11_000.0, 500_000.0]),
    fixed_ms=st.sampled_from([0.0, 2.0, 50.0]),
)
rates = st.sampled_from([0.2, 0.33, 0.5, 0.9, 1.0])
policies = (
    st.builds(Policy, rate=rates)
    | st.builds(Policy, target_tokens=st.sampled_from([10, 400]))
    | st.lists(
        st.tuples(st.integers(0, 2_500), rates), min_size=1, max_size=3, unique_by=lambda s: s[0]
    )
    .map(sorted)
    .map(lambda steps: Policy(rate=tuple(RateStep(over=o, rate=r) for o, r in steps)))
)


def gain(policy: Policy, price: float, device: Calibration, size: int) -> float:
    """Dollars that compressing a text of that size brings, or costs if negative."""
    assert device.tokens_per_second
    target = policy.target_tokens
    kept = policy.rate_for(size) * size if target is None else min(size, target)
    waited = device.fixed_ms / 1000 + size / device.tokens_per_second
    saved_time = (size - kept) / device.prefill_tokens_per_second
    return (size - kept) * price + device.value_of_time / 3600 * (saved_time - waited)


@given(policies, prices, devices)
def test_it_pays_from_there_on_and_not_just_below(
    policy: Policy, price: float, device: Calibration
) -> None:
    gains = [gain(policy, price, device, size) for size in range(MOST)]
    least = pays_over(policy, price, device)
    tolerance = 1e-12
    if least is None or least >= MOST:
        # Up to MOST, or for ever, some larger size does not pay.
        assert gains[-1] <= tolerance or least is not None
        return
    assert all(g > -tolerance for g in gains[max(least, 1) :])
    assert least <= 1 or gains[least - 1] <= tolerance


def test_a_faster_device_a_higher_price_and_patience_help() -> None:
    def least(price: float = 5e-7, **settings: float) -> int:
        device = Calibration(**{"tokens_per_second": 11_000.0, "fixed_ms": 3.0, **settings})  # type: ignore[arg-type]
        found = pays_over(Policy(rate=0.5), price, device)
        return 1_000_000 if found is None else found

    assert least(tokens_per_second=50_000) < least()
    assert least(price=3e-6) < least()
    assert least(value_of_time=0.5) < least() < least(value_of_time=40)
    assert least(value_of_time=0) == 1  # time costs nothing, tokens do
    assert least(price=0) == 1_000_000  # nothing is saved but time, and time is lost


@pytest.mark.parametrize(
    "policy,device",
    [(Policy(threshold=0.3), Calibration(tokens_per_second=1)), (Policy(), Calibration())],
)
def test_what_cannot_be_told_is_not_guessed(policy: Policy, device: Calibration) -> None:
    with pytest.raises(ValueError):
        pays_over(policy, 1e-6, device)


RULES: dict[str, Any] = {
    "policies": {"p": {}, "q": {}},
    "routes": [{"policy": "p", "pays_over": 700}],
}


def test_a_routes_break_even_goes_with_its_own_policy() -> None:
    config = Config.model_validate(RULES)
    found = route(config, "m", None).policy
    assert found is not None and found.pays_over == 700
    overlaid = route(config, "m", Tenant("t", TenantSettings(policy=Policy(rate=0.4)))).policy
    assert overlaid is not None and (overlaid.pays_over, overlaid.rate) == (700, 0.4)
    other = route(config, "m", None, Asked(policy="q")).policy
    assert other is not None and other.pays_over == 0
