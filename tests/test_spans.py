"""Packed spans are the tuple of pairs that they stand for, in less room."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.spans import Span, Spans, edges_of

TEXTS = st.text(st.sampled_from("abc \n") | st.characters(), max_size=40).map(lambda t: 12 * t)


@st.composite
def masks(draw: st.DrawFn, text: str) -> tuple[Span, ...]:
    """Spans that ascend without overlap, up to some hundreds."""
    edges = sorted(draw(st.sets(st.integers(0, len(text)), max_size=len(text))))
    return tuple(pairwise(edges))[::2]


@given(st.data(), TEXTS)
def test_they_are_the_pairs_that_they_were_made_of(data: st.DataObject, text: str) -> None:
    pairs = data.draw(masks(text))
    spans = Spans.of(pairs)
    assert tuple(spans) == pairs
    assert spans == pairs and pairs == spans and spans == list(pairs)
    assert hash(spans) == hash(pairs)
    assert Spans.unpack(spans.pack()) == spans
    assert [spans[at] for at in range(-len(pairs), len(pairs))] == [*pairs, *pairs]
    assert spans[1:3] == pairs[1:3] and spans[::-1] == pairs[::-1]
    assert edges_of(spans).tolist() == edges_of(pairs).tolist() == [list(pair) for pair in pairs]


@given(st.data(), TEXTS)
def test_a_text_is_cut_as_if_span_by_span(data: st.DataObject, text: str) -> None:
    pairs = data.draw(masks(text))
    assert Spans.of(pairs).cut(text) == "".join(text[start:end] for start, end in pairs)


def test_there_is_nothing_past_the_end() -> None:
    with pytest.raises(IndexError):
        Spans.of([(0, 1)])[1]
    assert Spans.of([(0, 1)]) != [(0, 2)]
    assert Spans.of([(0, 1)]) != 7
