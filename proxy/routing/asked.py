"""What a request asks for by its ``x-precis-`` headers, and how far that may go."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from proxy.config_policy import Policy, RateStep
from proxy.config_tenants import Allow
from proxy.errors import BadRequest, Forbidden

BYPASS, POLICY, RATE = "x-precis-bypass", "x-precis-policy", "x-precis-rate"
HEADERS = (BYPASS, POLICY, RATE)
"""Read here, and never forwarded upstream."""

_NUMBER = re.compile(r"[0-9]*\.?[0-9]+|[0-9]+\.", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """The wishes of one request; not-given and ``None`` are the same here."""

    bypass: bool = False
    policy: str | None = None
    rate: float | None = None
    """Share of tokens to keep, in (0, 1]."""

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> Asked:
        """Read the headers, given under lower-case names. Raises BadRequest naming the header."""
        return cls(
            bypass=_flag(headers.get(BYPASS)),
            policy=(headers.get(POLICY) or "").strip() or None,
            rate=_rate(headers.get(RATE)),
        )


NOTHING = Asked()


def _flag(value: str | None) -> bool:
    word = (value or "").strip().lower()
    if word in ("true", "1", "yes"):
        return True
    if word in ("", "false", "0", "no"):
        return False
    raise BadRequest(f"{BYPASS}: {_cut(word)} is neither true nor false.", param=BYPASS)


def _rate(value: str | None) -> float | None:
    word = (value or "").strip()
    if not word:
        return None
    rate = float(word) if _NUMBER.fullmatch(word) else 0.0
    if not 0 < rate <= 1:
        raise BadRequest(
            f"{RATE}: {_cut(word)} is not a share of tokens to keep; "
            "give a number above 0 and at most 1, such as 0.6.",
            param=RATE,
        )
    return rate


def check_bypass(allow: Allow) -> None:
    """Raise Forbidden if requests may not skip compression."""
    if not allow.bypass:
        raise Forbidden("This key may not switch compression off by a header.", param=BYPASS)


def check_policy(name: str, known: Mapping[str, object], allow: Allow) -> None:
    """Raise Forbidden or BadRequest unless the policy exists and may be asked for.

    A name that is not allowed gets the same answer whether or not it exists, so that a tenant
    learns nothing of other tenants' policies.
    """
    allowed = [glob for glob in allow.policies if fnmatchcase(name, glob)]
    choice = ", ".join(
        other for other in known if any(fnmatchcase(other, glob) for glob in allow.policies)
    )
    if not allowed:
        raise Forbidden(
            f"This key may not ask for the policy {_cut(name)}. "
            f"It may ask for: {choice or 'none'}.",
            param=POLICY,
        )
    if name not in known:
        raise BadRequest(
            f"{POLICY}: there is no policy {_cut(name)}. There are: {choice or 'none'}.",
            param=POLICY,
        )


def with_rate(policy: Policy, rate: float, allow: Allow) -> Policy:
    """The policy at the rate a request asks for. Raises Forbidden if that is not allowed.

    Under ``gentler`` no text may lose more than by the policy itself, whatever its size: steps
    below the asked rate are raised to it and the others stay. A policy that works to a token
    target or a threshold can't be compared with a rate, so there only ``any`` may ask for one.
    """
    if allow.rate == "any":
        return policy.overlaid(Policy(rate=rate))
    if allow.rate == "none":
        raise Forbidden("This key may not set the rate by a header.", param=RATE)
    if policy.target_tokens is not None or policy.threshold is not None:
        raise Forbidden(
            "The policy works to a token target or a threshold; this key may not replace it by "
            "a rate.",
            param=RATE,
        )
    return policy.model_copy(update={"rate": _gentler(policy.rate, rate)})


def _gentler(current: float | tuple[RateStep, ...], asked: float) -> float | tuple[RateStep, ...]:
    lowest = min(s.rate for s in current) if isinstance(current, tuple) else current
    if asked < lowest:
        raise Forbidden(
            f"The rate {asked:g} keeps less than the policy's {lowest:g}; "
            f"this key may ask for {lowest:g} up to 1.",
            param=RATE,
        )
    if not isinstance(current, tuple):
        return asked
    return tuple(RateStep(over=s.over, rate=max(s.rate, asked)) for s in current)


def _cut(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:57] + "...")
