"""A packed receipt is the receipt."""

from __future__ import annotations

from dataclasses import fields, replace

from hypothesis import given
from hypothesis import strategies as st

from proxy.ledger import Comparison, Receipt, Usage
from proxy.ledger.receipts_packed import pack, unpack
from proxy.ledger.savings import Savings
from proxy.spans import Spans
from proxy.types import Decision

MASKS = st.lists(st.integers(0, 2**32 - 1), max_size=40, unique=True).map(
    lambda edges: Spans.of(zip(sorted(edges)[::2], sorted(edges)[1::2], strict=False))
)
COUNTS = st.integers(0, 2**53)
DECISIONS = st.builds(
    Decision,
    message=COUNTS,
    part=st.none() | COUNTS,
    tokens_before=COUNTS,
    tokens_after=COUNTS,
    kept=MASKS,
    spans=st.dictionaries(st.text(), st.dictionaries(st.text(), COUNTS), max_size=3),
)
USD = st.none() | st.floats(allow_nan=False)
SAVINGS = st.builds(
    Savings, gross_tokens=COUNTS, net_tokens=COUNTS.map(int.__neg__), gross_usd=USD, net_usd=USD
)
COMPARISONS = st.builds(
    Comparison, agreement=USD, prompt_tokens=COUNTS, completion_tokens=COUNTS, usd=USD
)
RECEIPTS = st.builds(
    Receipt,
    messages=st.lists(DECISIONS, max_size=3).map(tuple),
    tokens_before=st.none() | COUNTS,
    tokens_after=st.none() | COUNTS,
    status=st.none() | COUNTS,
    savings=st.none() | SAVINGS,
    comparison=st.none() | COMPARISONS,
    usage=st.none() | st.builds(Usage, COUNTS, st.none() | COUNTS, COUNTS),
    created=st.floats(0, 2e9),
)


@given(RECEIPTS)
def test_what_is_packed_comes_back(receipt: Receipt) -> None:
    found = unpack(pack(receipt))
    for field in fields(Receipt):
        assert getattr(found, field.name) == getattr(receipt, field.name), field.name


def test_masks_are_small() -> None:
    kept = Spans.of([(2 * i, 2 * i + 1) for i in range(1000)])
    done = Decision(0, None, "user", "compressed", "", 10, 4, "a" * 64, "b" * 64, kept)
    small = Receipt("r", 1.0, "", "m", "", "compressed", "", True, 10, 4, "cl100k_base", "builtin")
    assert len(pack(small)) < 200
    assert len(pack(replace(small, messages=(done,)))) < 8_600
