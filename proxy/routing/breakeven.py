"""From which size on compression pays: what it saves against what waiting for it costs. Pure.

Of a text of n tokens at rate r, (1 - r) n are saved. Each saves its price p and the time in which
the upstream would have read it, 1/v seconds; compressing takes f + n/s seconds here. With a second
of waiting worth w dollars, compression pays where

    (1 - r) n (p + w/v)  >  w (f + n/s)

The answer hangs on the configuration alone, so that a message is compressed at every turn or at
none (principle 1): speeds are measured once, by ``precis calibrate``, and never under load.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from proxy.config_compressor import Calibration
from proxy.config_policy import Policy


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line: what a text of n tokens keeps is ``base + slope * n``."""

    over: int
    """Tokens above which it holds."""
    base: float
    slope: float


def pays_over(policy: Policy, price: float, device: Calibration) -> int | None:
    """The least size from which on every text pays; None if there is none.

    ``price`` is in dollars a token of the prompt. Raises ValueError for a policy with a threshold,
    whose rate hangs on the text, and for a device that was not measured.
    """
    if device.tokens_per_second is None:
        raise ValueError("the device was not measured")
    second = device.value_of_time / 3600
    gain = price + second / device.prefill_tokens_per_second  # dollars for each token saved
    cost = second / device.tokens_per_second  # dollars for each token read
    fixed = second * device.fixed_ms / 1000
    least: int | None = None
    above = math.inf
    for line in reversed(_kept(policy)):
        slope = gain * (1 - line.slope) - cost
        start = (fixed + gain * line.base) / slope if slope > 0 else math.inf
        if start >= above:  # it does not pay anywhere on this stretch, so not from below it
            break
        least = max(math.floor(start) + 1, line.over + 1)
        if start > line.over:
            break
        above = line.over
    return least


def _kept(policy: Policy) -> list[Line]:
    if policy.threshold is not None:
        raise ValueError("with a threshold the rate hangs on the text")
    if policy.target_tokens is not None:
        return [Line(policy.target_tokens, policy.target_tokens, 0.0)]
    if isinstance(policy.rate, tuple):
        return [Line(step.over, 0.0, step.rate) for step in policy.rate]
    return [Line(0, 0.0, policy.rate)]
