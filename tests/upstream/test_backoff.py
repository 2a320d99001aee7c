from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.upstream import Answer, backoff
from proxy.upstream.echo import _each
from tests.upstream.calls import entry

NOW = 1_700_000_000.0


def answer(**headers: str) -> Answer:
    pairs = [(n.replace("_", "-").encode(), v.encode("latin-1")) for n, v in headers.items()]
    return Answer(429, pairs, _each(iter(())), entry=entry())


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "3"}, 3),
        ({"Retry_After": " 1.5 "}, 1.5),
        ({"retry_after": "0"}, 0),
        ({"retry_after_ms": "250", "retry_after": "3"}, 0.25),
        ({"retry_after": formatdate(NOW + 20, usegmt=True)}, 20),
        ({"retry_after": formatdate(NOW - 20, usegmt=True)}, 0),
        ({"retry_after": "Tue, 14 Nov 2023 22:13:30 -0000"}, 10),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert backoff.retry_after(answer(**headers), NOW) == seconds


@pytest.mark.parametrize("value", ["-1", "inf", "nan", "1e9", "soon", "", "1,5", "\xb2", "."])
def test_what_is_neither_says_nothing(value: str) -> None:
    assert backoff.retry_after(answer(retry_after=value), NOW) is None


@given(st.text(alphabet=st.characters(max_codepoint=255)))
def test_no_header_breaks_it(value: str) -> None:
    said = backoff.retry_after(answer(retry_after=value, retry_after_ms=value), NOW)
    assert said is None or said >= 0


@given(st.integers(1, 2000), st.floats(1e-3, 100) | st.just(0.0), st.floats(0, 1, exclude_max=True))
def test_the_delay_grows_to_its_limit(tries: int, first: float, dice: float) -> None:
    now, later = (backoff.delay(n, first, dice) for n in (tries, tries + 1))
    assert 0 <= now <= later <= backoff.MAX_DELAY


def test_the_delay_doubles_and_spreads_by_a_quarter() -> None:
    assert [backoff.delay(n, 0.5, 0) for n in (1, 2, 3)] == [0.5, 1, 2]
    assert backoff.delay(1, 0.5, 0.999) == pytest.approx(0.375, rel=0.01)
