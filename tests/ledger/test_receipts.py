"""Receipts in memory: found by their own tenant, bounded in number and size."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import NotFound
from proxy.ledger import Receipt
from proxy.ledger.receipts_memory import MemoryReceipts
from proxy.types import Decision


def receipt(name: str = "req_1", tenant: str = "acme", spans: int = 1) -> Receipt:
    kept = tuple((2 * i, 2 * i + 1) for i in range(spans))
    done = Decision(0, None, "user", "compressed", "", 10, 4, "a" * 64, "b" * 64, kept)
    return Receipt(
        name, 1.0, tenant, "m", "default", "compressed", "compressed", True, 10, 4,
        "cl100k_base", "builtin", (done,), {"compress": 1.0},
    )  # fmt: skip


async def test_a_receipt_is_found_again() -> None:
    receipts = MemoryReceipts()
    receipts.add(receipt())
    assert await receipts.get("req_1", "acme") == receipt()
    assert receipt().saved == 6


@pytest.mark.parametrize("name,tenant", [("req_1", "globex"), ("req_1", ""), ("req_2", "acme")])
async def test_others_learn_nothing_of_it(name: str, tenant: str) -> None:
    receipts = MemoryReceipts()
    receipts.add(receipt())
    with pytest.raises(NotFound) as refused:
        await receipts.get(name, tenant)
    assert refused.value.code == "receipt_not_found"
    assert name not in refused.value.message and "acme" not in refused.value.message


async def test_a_later_one_of_the_same_id_takes_the_earlier_ones_place() -> None:
    receipts = MemoryReceipts(spans=3)
    receipts.add(receipt("req_0"))
    for _ in range(5):
        receipts.add(receipt("req_1"))
    receipts.add(replace(receipt("req_1"), status=200))
    assert (await receipts.get("req_1", "acme")).status == 200
    assert (await receipts.get("req_0", "acme")).status is None


@pytest.mark.parametrize("changes", [{"whole": True}, {"error": "upstream_timeout"}])
async def test_once_it_has_ended_it_is_held_as_bytes(changes: dict[str, Any]) -> None:
    receipts = MemoryReceipts()
    ended = replace(receipt(spans=3), **changes)
    receipts.add(ended)
    (held,) = receipts._kept.values()
    assert isinstance(held.body, bytes)
    assert await receipts.get("req_1", "acme") == ended


async def test_very_many_messages_hold_nobody_up() -> None:
    receipts = MemoryReceipts()
    crowd = replace(receipt(), whole=True, messages=receipt().messages * 501)
    receipts.add(crowd)
    assert await receipts.get("req_1", "acme") is crowd


def test_nothing_was_saved_where_nothing_was_counted() -> None:
    assert replace(receipt(), tokens_before=None, tokens_after=None).saved == 0


def test_how_it_ended_is_added_to_a_copy() -> None:
    first = receipt()
    ended = first.answered(200, {"overhead": 7.5}, upstream="openai/gpt")
    assert (ended.status, ended.error, ended.upstream) == (200, "", "openai/gpt")
    assert ended.ms == {"compress": 1.0, "overhead": 7.5}
    assert first.ms == {"compress": 1.0}


@given(st.lists(st.integers(0, 30), max_size=30), st.integers(1, 10), st.integers(1, 50))
def test_the_latest_stay_as_far_as_they_fit(sizes: list[int], size: int, spans: int) -> None:
    receipts = MemoryReceipts(size, spans)
    for index, count in enumerate(sizes):
        receipts.add(receipt(f"req_{index}", spans=count))

    def held(index: int) -> bool:
        try:
            return asyncio.run(receipts.get(f"req_{index}", "acme")).id == f"req_{index}"
        except NotFound:
            return False

    stay = [i for i in range(len(sizes)) if held(i)]
    assert stay == list(range(len(sizes) - len(stay), len(sizes)))  # the latest, without a gap
    assert len(stay) <= size
    assert sum(sizes[i] for i in stay) <= spans or len(stay) == 1
    if len(stay) < len(sizes):  # one more would have been too much
        more = sizes[len(sizes) - len(stay) - 1 :]
        assert len(more) > size or sum(more) > spans or max(more) > spans
