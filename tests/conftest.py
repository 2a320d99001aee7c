"""What all tests share: no deadlines in property tests, and what CI must have."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import settings

# Timing belongs in benchmarks; two shared cores make any deadline a coin toss.
settings.register_profile("precis", deadline=None, max_examples=100)
settings.load_profile("precis")


@pytest.fixture(scope="session")
def needs() -> Callable[[bool, str], None]:
    """``needs(found, what)``: skip where ``what`` is missing, but fail under ``CI=true``."""

    def check(found: bool, what: str) -> None:
        if found:
            return
        if os.environ.get("CI") == "true":
            pytest.fail(f"missing in CI: {what}")
        pytest.skip(f"missing: {what}")

    return check
