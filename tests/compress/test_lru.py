from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.compress.lru import Memory


@given(st.lists(st.tuples(st.binary(max_size=2), st.integers(0, 3_000))))
def test_memory_keeps_to_its_bound(entries: list[tuple[bytes, int]]) -> None:
    memory: Memory[int] = Memory(5_000)
    for key, size in entries:
        memory.put(key, size, size)
        assert memory.get(key) == size
        assert 0 <= memory.bytes <= 5_000
    assert (memory.bytes == 0) == (len(memory) == 0)


def test_what_was_used_longest_ago_goes_first() -> None:
    memory: Memory[str] = Memory(1_000)
    memory.put(b"a", "a", 200)
    memory.put(b"b", "b", 200)
    assert memory.get(b"a") == "a"
    memory.put(b"c", "c", 200)
    assert memory.get(b"b") is None
    assert memory.get(b"a") == "a" and memory.get(b"c") == "c"


def test_what_is_larger_than_all_of_it_is_not_held() -> None:
    memory: Memory[str] = Memory(1_000)
    memory.put(b"a", "a", 5_000)
    assert memory.get(b"a") is None and memory.bytes == 0
