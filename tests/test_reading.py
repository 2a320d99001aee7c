"""What the classifier reads of a text, and where it stands there."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from proxy.reading import Reading
from proxy.types import Escape, Mark

# Pieces of a source: plain text, an escape with what it stands for, something dropped.
PIECES = st.lists(
    st.one_of(
        st.tuples(st.just("plain"), st.text("ab \n", max_size=3)),
        st.tuples(st.just("escape"), st.sampled_from(["\\n", "\\u00e9", "\\ud83d\\ude00", "x"])),
        st.tuples(st.just("dropped"), st.sampled_from(["<k>", "</k>", " "])),
    ),
    max_size=12,
)
STANDS_FOR = {"\\n": "\n", "\\u00e9": "é", "\\ud83d\\ude00": "😀", "x": "y"}


def read(pieces: list[tuple[str, str]]) -> Reading:
    source, escapes, dropped = "", [], []
    for kind, piece in pieces:
        end = len(source) + len(piece)
        if kind == "escape":
            escapes.append(Escape(len(source), end, STANDS_FOR[piece]))
        elif kind == "dropped":
            dropped.append(Mark(len(source), end, "tag"))
        source += piece
    return Reading.of(source, escapes, dropped)


@given(PIECES)
def test_escapes_are_read_decoded_and_dropped_spans_are_not_read(
    pieces: list[tuple[str, str]],
) -> None:
    reading = read(pieces)
    wanted = {"plain": str, "escape": STANDS_FOR.__getitem__, "dropped": lambda _: ""}
    assert reading.text == "".join(wanted[kind](piece) for kind, piece in pieces)
    assert reading.sent == "".join(piece for kind, piece in pieces if kind != "dropped")
    assert len(reading.offsets) == len(reading.text) + 1
    assert reading.offsets[-1] == len(reading.sent)


@given(PIECES, st.data())
def test_spans_of_what_is_read_lead_to_the_source_and_back(
    pieces: list[tuple[str, str]], data: st.DataObject
) -> None:
    reading = read(pieces)
    bits = data.draw(st.lists(st.booleans(), min_size=len(reading.text), max_size=100))
    chosen = [i for i, bit in zip(range(len(reading.text)), bits, strict=False) if bit]
    spans = reading.spans(_runs(chosen))
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    offsets, sent = reading.offsets.tolist(), reading.sent
    wanted = "".join(sent[offsets[i] : offsets[i + 1]] for i in chosen)
    assert reading.written(spans) == wanted
    back = {i for s, e in reading.places(spans) for i in range(s, e)}
    assert back == set(chosen)


def test_a_mark_that_cuts_an_escape_covers_it_whole() -> None:
    reading = Reading.of("ab\\u00e9cd", [Escape(2, 8, "é")])
    assert reading.places([(0, 4)]) == [(0, 3)]
    assert reading.places([(5, 9)]) == [(2, 4)]


def _runs(places: list[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for place in places:
        if runs and runs[-1][1] == place:
            runs[-1] = (runs[-1][0], place + 1)
        else:
            runs.append((place, place + 1))
    return runs
