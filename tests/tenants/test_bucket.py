"""The arithmetic of limits: never more than allowed in a minute, and never a wait in vain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.tenants.bucket import MINUTE, Bucket


def test_a_full_bucket_may_be_emptied_at_once_and_refills_evenly() -> None:
    bucket, full_at = Bucket(60), 0.0
    for left in range(59, -1, -1):
        assert bucket.wait(full_at, 100, 1) == 0
        full_at = bucket.take(full_at, 100, 1)
        assert bucket.left(full_at, 100) == left
    assert bucket.wait(full_at, 100, 1) == pytest.approx(1)
    assert bucket.left(full_at, 130) == 30
    assert bucket.left(full_at, 1000) == 60


def test_what_was_taken_too_much_is_given_back_and_a_debt_is_waited_for() -> None:
    bucket = Bucket(100)
    full_at = bucket.take(0.0, 10, 50)
    assert bucket.left(bucket.take(full_at, 10, -30), 10) == 80
    in_debt = bucket.take(full_at, 10, 150)
    assert bucket.left(in_debt, 10) == 0
    assert bucket.wait(in_debt, 10, 1) == pytest.approx(MINUTE * 1.01)


@given(
    st.integers(1, 1000),
    st.lists(st.tuples(st.floats(0, 20), st.integers(1, 50)), max_size=60),
)
def test_what_is_let_in_never_exceeds_a_bucket_and_its_refill(
    limit: int, asked: list[tuple[float, int]]
) -> None:
    bucket, full_at, now = Bucket(limit), 0.0, 0.0
    taken: list[tuple[float, int]] = []
    for pause, amount in asked:
        now += pause
        if amount <= limit and bucket.wait(full_at, now, amount) == 0:
            full_at = bucket.take(full_at, now, amount)
            taken.append((now, amount))
    for i, (start, _) in enumerate(taken):
        for j in range(i, len(taken)):
            seconds = taken[j][0] - start
            total = sum(amount for _, amount in taken[i : j + 1])
            assert total <= limit * (1 + seconds / MINUTE) + 1e-3


@given(st.integers(1, 1000), st.floats(0, 1e6), st.floats(0, 500), st.integers(1, 1000))
def test_after_the_wait_it_may_be_taken(limit: int, now: float, ahead: float, amount: int) -> None:
    bucket, full_at = Bucket(limit), now + ahead
    wait = bucket.wait(full_at, now, min(amount, limit))
    assert bucket.wait(full_at, now + wait + 1e-3, min(amount, limit)) == 0
