from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from proxy.upstream.share import Share
from tests.upstream.calls import entry


def share(*weights: float) -> Share:
    return Share([entry(weight=weight) for weight in weights])


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_each_round_gives_each_entry_its_weight(weights: list[int]) -> None:
    turns = share(*weights)
    for _ in range(3):
        picked = Counter(turns.pick(0) for _ in range(sum(weights)))
        assert picked == Counter(dict(enumerate(weights)))


def test_a_heavy_entrys_turns_are_spread() -> None:
    turns = share(5, 1, 1)
    assert [turns.pick(0) for _ in range(7)] == [0, 0, 1, 0, 2, 0, 0]


def test_a_resting_entry_is_passed_over_until_its_time() -> None:
    turns = share(1, 1)
    turns.rest(0, until=10)
    assert [turns.pick(now) for now in (0, 5, 9.9)] == [1, 1, 1]
    assert {turns.pick(10), turns.pick(10)} == {0, 1}


def test_if_all_rest_the_one_that_wakes_first_is_tried() -> None:
    turns = share(1, 1, 1)
    for index, until in enumerate((30, 10, 20)):
        turns.rest(index, until)
    assert turns.pick(0) == 1
    assert not turns.any_awake(0)
    assert turns.any_awake(10)


def test_a_success_ends_the_rest() -> None:
    turns = share(1)
    turns.rest(0, until=10)
    turns.recover(0)
    assert turns.any_awake(0)


@given(st.data())
def test_a_rest_is_never_cut_short_by_a_later_shorter_one(data: st.DataObject) -> None:
    turns = share(1, 1)
    untils = data.draw(st.lists(st.floats(1, 100), min_size=1))
    for until in untils:
        turns.rest(0, until)
    now = data.draw(st.floats(0, max(untils), exclude_max=True))
    assert turns.pick(now) == 1


@given(st.text(min_size=1), st.lists(st.integers(1, 9), min_size=2, max_size=5))
def test_a_conversation_stays_where_it_is(conversation: str, weights: list[int]) -> None:
    first, second = share(*weights), share(*weights)
    place = first.pick(0, conversation)
    for other in range(5):
        first.pick(0)
        first.pick(0, f"another {other}")
    assert first.pick(0, conversation) == second.pick(0, conversation) == place


def test_conversations_are_shared_by_weight() -> None:
    turns = share(3, 1)
    picked = Counter(turns.pick(0, f"conversation {i}") for i in range(2000))
    assert 1400 < picked[0] < 1600


def test_an_entry_that_rests_moves_its_own_conversations_only() -> None:
    turns = share(1, 1, 1)
    names = [f"conversation {i}" for i in range(200)]
    before = {name: turns.pick(0, name) for name in names}
    turns.rest(1, until=10)
    during = {name: turns.pick(5, name) for name in names}
    assert 1 not in during.values()
    assert all(during[name] == place for name, place in before.items() if place != 1)
    assert {name: turns.pick(10, name) for name in names} == before


def test_the_order_of_the_file_does_not_matter() -> None:
    one, other = (entry(api_base=f"http://{host}/v1") for host in ("a", "b"))
    for i in range(20):
        pair, reverse = Share([one, other]), Share([other, one])
        assert pair.entries[pair.pick(0, f"{i}")] == reverse.entries[reverse.pick(0, f"{i}")]
