"""A receipt's mask gives the bytes that were sent, and whatever was changed is noticed."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from proxy.ledger import Receipt
from proxy.ledger.replay import by_mask, by_recomputation, hash_of
from proxy.types import Decision, Span
from tests.ledger.test_receipts import receipt

texts = st.text(st.characters(exclude_categories=()), min_size=1, max_size=40)


@st.composite
def masked(draw: st.DrawFn) -> tuple[str, tuple[Span, ...]]:
    text = draw(texts)
    cuts = draw(st.lists(st.integers(0, len(text)), unique=True, max_size=8).map(sorted))
    return text, tuple(zip(cuts[::2], cuts[1::2], strict=False))


def of(text: str, kept: tuple[Span, ...]) -> Receipt:
    sent = "".join(text[start:end] for start, end in kept)
    hashes = (hash_of(text), hash_of(sent))
    done = Decision(0, None, "user", "compressed", "", 9, 4, *hashes, kept)
    rest = Decision(1, 2, "tool", "unchanged", "role", 9, 9, hash_of("x"), hash_of("x"), ())
    return replace(receipt(), messages=(done, rest))


@given(masked())
def test_the_mask_gives_the_bytes(pair: tuple[str, tuple[Span, ...]]) -> None:
    text, kept = pair
    checks = list(by_mask(of(text, kept), {(0, None): text, (1, 2): "x"}))
    assert [check.finding for check in checks] == ["", ""]
    assert checks[0].sent == "".join(text[start:end] for start, end in kept)
    assert (checks[1].sent, checks[1].said) == ("x", "role")


@given(masked(), texts)
def test_another_original_is_noticed(pair: tuple[str, tuple[Span, ...]], other: str) -> None:
    text, kept = pair
    found = list(by_mask(of(text, kept), {(0, None): other, (2, None): "more"}))
    first = "" if other == text else "another original"
    assert [c.finding for c in found] == [first, "not in the file", "not in the receipt"]


@given(masked(), masked())
def test_a_changed_mask_is_noticed(
    one: tuple[str, tuple[Span, ...]], other: tuple[str, tuple[Span, ...]]
) -> None:
    text, kept = one
    right = of(text, kept)
    wrong = replace(right, messages=(replace(right.messages[0], kept=other[1]),))
    sent = "".join(text[start:end] for start, end in other[1])
    finding = next(by_mask(wrong, {(0, None): text})).finding
    assert (finding == "") is (hash_of(sent) == right.messages[0].sha256_after)


def test_where_two_masks_part_is_told() -> None:
    text = "abcdefghij"
    old = of(text, ((0, 3), (3, 5), (8, 9)))

    def found(*kept: Span) -> str:
        return by_recomputation(old, of(text, kept)).get((0, None), "")

    assert found((0, 5), (8, 9)) == ""
    assert found((0, 4), (8, 9)) == "differs from character 4 on"
    assert found((0, 5), (7, 9)) == "differs from character 7 on"
    assert found((0, 5)) == "differs from character 8 on"
    assert found((1, 5), (8, 9)) == "differs from character 0 on"


def test_another_decision_is_told() -> None:
    old = of("abc", ((0, 1),))
    whole = Decision(
        0, None, "user", "unchanged", "short", 9, 9, hash_of("abc"), hash_of("abc"), ()
    )
    assert by_recomputation(old, replace(old, messages=(whole,))) == {
        (0, None): "now short",
        (1, 2): "not found again",
    }
