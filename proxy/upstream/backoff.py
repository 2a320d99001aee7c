"""When to try again, and after how long. Pure: the clock and the dice come as arguments.

The rules are those of OpenAI's own client, which the callers know: 408, 409, 429 and 5xx are worth
another try, ``x-should-retry`` overrides that, ``retry-after-ms`` and ``retry-after`` set the wait.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

from proxy.upstream.call import Answer

MAX_DELAY = 8.0
"""Seconds; the longest wait that we choose ourselves."""
COOL_DOWN = 5.0
"""Seconds that an entry rests after a failure that gives no time of its own."""
MAX_COOL_DOWN = 60.0
"""Seconds; however long a provider asks for, an entry is tried again after that."""


def worth_another_try(answer: Answer) -> bool:
    """Whether the same call may well succeed a little later, or elsewhere."""
    said = _header(answer, b"x-should-retry")
    if said in ("true", "false"):
        return said == "true"
    return answer.status in (408, 409, 429) or answer.status >= 500


def retry_after(answer: Answer, now: float) -> float | None:
    """Seconds that the answer asks to wait; None if it doesn't say. ``now`` is the Unix time."""
    milliseconds = _number(_header(answer, b"retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = _header(answer, b"retry-after")
    seconds = _number(value)
    return seconds if seconds is not None else _until(value, now)


def delay(tries: int, first: float, dice: float) -> float:
    """Seconds to wait after ``tries`` failures: doubling from ``first``, up to a quarter less.

    ``dice`` in [0, 1) spreads callers that failed together.
    """
    doublings = min(tries - 1, 64)  # past that the limit holds anyway, and floats do not
    return min(first * 2.0**doublings, MAX_DELAY) * (1 - 0.25 * dice)


def cool_down(asked: float | None) -> float:
    """Seconds that a failed entry rests while others serve."""
    return COOL_DOWN if asked is None else min(asked, MAX_COOL_DOWN)


def _header(answer: Answer, name: bytes) -> str:
    for key, value in answer.headers:
        if key.lower() == name:
            return value.decode("latin-1").strip().lower()
    return ""


def _number(value: str) -> float | None:
    """A plain decimal number; no sign, no ``inf``, no exponent."""
    whole, _, fraction = value.partition(".")
    if not whole.isdecimal() or not (fraction + "0").isdecimal() or not value.isascii():
        return None
    return float(value)


def _until(date: str, now: float) -> float | None:
    try:
        when = parsedate_to_datetime(date)
    except ValueError:
        return None
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, aware.timestamp() - now)
