"""Texts with parts that have rates of their own, and parts that are not sent."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.compress.draft import Job
from proxy.config_policy import Policy
from proxy.gate import verify
from proxy.tokens import encoding
from proxy.types import Compressed, Escape, Mark, Passage, Region, Rules
from tests.compress.readers import fake
from tests.compress.test_properties import GAPS, RATES, WORDS, words_of

PIECES = st.lists(st.tuples(WORDS, GAPS), min_size=1, max_size=25).map(
    lambda pieces: "".join(word + gap for word, gap in pieces)
)
OWN_RATES = st.one_of(st.none(), RATES)
STRETCHES = st.lists(
    st.one_of(
        st.tuples(st.just("rest"), PIECES, st.none()),
        st.tuples(st.just("region"), PIECES, OWN_RATES),
        st.tuples(
            st.just("dropped"), st.sampled_from(["<keep>", "</keep>", "<x a='1'>"]), st.none()
        ),
        st.tuples(st.just("intact"), st.sampled_from(["Why?", '{"a": 1}']), st.none()),
    ),
    min_size=1,
    max_size=6,
)
LENIENT = Policy(protect=(), force_reserve_digit=False, min_saving=0)
RULES = Rules(force_tokens=("\n", "."), force_reserve_digit=True)
Stretch = tuple[str, str, float | None]


def passage(stretches: list[Stretch]) -> Passage:
    text = ""
    marks: dict[str, list[Mark]] = {"dropped": [], "intact": []}
    regions: list[Region] = []
    for kind, piece, rate in stretches:
        span = (len(text), len(text) + len(piece))
        if kind == "region":
            regions.append(Region(*span, rate))
        elif kind != "rest":
            marks[kind].append(Mark(*span, "test"))
        text += piece
    dropped, intact = tuple(marks["dropped"]), tuple(marks["intact"])
    return Passage(0, None, "user", text, intact, dropped=dropped, regions=tuple(regions))


def run(found: Passage, rate: float, target: int | None = None, rules: Rules = RULES) -> Compressed:
    return fake().run(Job.of(found, rules, rate, target))


def without_dropped(found: Passage) -> str:
    edges = [0, *(e for m in found.dropped for e in (m.start, m.end)), len(found.text)]
    return "".join(found.text[s:e] for s, e in zip(edges[::2], edges[1::2], strict=True))


RULE_SETS = st.sampled_from(
    [
        RULES,
        replace(RULES, drop_consecutive=True),
        Rules(threshold=0.4),
        Rules(budget="window", force_tokens=("\n",)),
    ]
)


@given(STRETCHES, RATES, st.one_of(st.none(), st.integers(1, 90)), RULE_SETS)
@settings(max_examples=200)
def test_nothing_of_what_is_dropped_is_sent_and_marks_are(
    stretches: list[Stretch], rate: float, target: int | None, rules: Rules
) -> None:
    found = passage(stretches)
    result = run(found, rate, target, rules)
    sent = {i for s, e in result.kept for i in range(s, e)}
    assert not sent & {i for mark in found.dropped for i in range(mark.start, mark.end)}
    assert result.tokens_after == encoding().count(result.text)
    if result.text.strip():
        checked = verify(found, result, LENIENT, encoding())
        # A region that ends within a word leaves half of it, which only the gate can know.
        assert checked == result or checked.reason in ("no saving", "gate: words")
    for region in found.regions:
        inside = set(range(region.start, region.end))
        assert sent & inside or not found.text[region.start : region.end].strip()


@given(STRETCHES, RULE_SETS)
def test_rate_one_gives_everything_but_what_is_dropped(
    stretches: list[Stretch], rules: Rules
) -> None:
    stretches = [(kind, piece, None) for kind, piece, _ in stretches]
    found = passage(stretches)
    if rules.threshold is None:
        assert run(found, 1.0, rules=rules).text == without_dropped(found)
    whole = replace(found, regions=(Region(0, len(found.text), 1.0),))
    assert run(whole, 0.2, rules=rules).text == without_dropped(found)


@given(STRETCHES, RATES, RATES, st.booleans(), st.data())
@settings(max_examples=200)
def test_raising_any_rate_never_drops_what_was_kept(
    stretches: list[Stretch], one: float, other: float, consecutive: bool, data: st.DataObject
) -> None:
    low, high = sorted((one, other))
    rules = replace(RULES, drop_consecutive=consecutive)
    raised = [
        (kind, piece, rate if rate is None else data.draw(st.floats(rate, 1.0)))
        for kind, piece, rate in stretches
    ]
    less, more = passage(stretches), passage(raised)
    kept = (words_of(less.text, run(p, r, rules=rules)) for p, r in ((less, low), (more, high)))
    assert next(kept) <= next(kept)


@given(
    st.lists(st.tuples(st.integers(5, 300), st.floats(0.05, 0.95)), min_size=1, max_size=4), RATES
)
@settings(max_examples=60, deadline=None)
def test_each_region_meets_its_own_rate(parts: list[tuple[int, float]], rate: float) -> None:
    pieces: list[Stretch] = []
    for index, (words, own) in enumerate(parts):
        pieces.append(("region", prose(words, index), own))
        pieces.append(("rest", prose(40, index), None))
    found = passage(pieces)
    result = run(found, rate, rules=Rules())
    count = encoding().count
    for region in found.regions:
        before = count(found.text[region.start : region.end])
        assert abs(count(inside(found.text, result, region)) - region.rate * before) <= max(
            4, 0.01 * region.rate * before
        )
    rest = before_rest = 0
    for left, right in pairwise([*found.regions, Region(len(found.text), len(found.text))]):
        between = Region(left.end, right.start)
        rest += count(inside(found.text, result, between))
        before_rest += count(found.text[between.start : between.end])
    assert abs(rest - rate * before_rest) <= max(4, 0.01 * rate * before_rest) + len(parts)


def prose(words: int, seed: int) -> str:
    text = " ".join(
        f"word{'s' if n % 3 else ''} number{(n + seed) % 7}, the of." for n in range(words)
    )
    return text + " "


def inside(text: str, result: Compressed, region: Region) -> str:
    cut = [(max(s, region.start), min(e, region.end)) for s, e in result.kept]
    return "".join(text[s:e] for s, e in cut if s < e)


def test_a_target_for_the_text_is_met_with_regions_in_it() -> None:
    found = passage(
        [
            ("rest", prose(60, 1), None),
            ("region", prose(60, 2), 0.8),
            ("region", prose(60, 3), None),
            ("intact", "Which of these words is it?", None),
        ]
    )
    result = run(found, 0.5, 900, Rules())
    assert abs(result.tokens_after - 900) <= 10
    own = encoding().count(inside(found.text, result, found.regions[0]))
    assert own == pytest.approx(0.8 * encoding().count(prose(60, 2)), abs=6)


def test_words_around_what_is_dropped_are_joined_as_they_stood() -> None:
    found = passage(
        [("rest", "the word ", None), ("dropped", "<keep>", None), ("intact", "of a", None),
         ("dropped", "</keep>", None), ("rest", "number, is", None)]
    )  # fmt: skip
    assert run(found, 1.0).text == "the word of anumber, is"
    assert run(found, 0.01).text.endswith("of a")


def test_an_escape_is_kept_or_dropped_whole_and_read_as_what_it_stands_for() -> None:
    text = 'the word\\nof \\"a\\" number\\u00e9 is'
    escapes = [
        Escape(i, i + len(raw), char)
        for raw, char in (("\\n", "\n"), ("\\u00e9", "é"))
        for i in [text.index(raw)]
    ]
    escapes += [Escape(i, i + 2, '"') for i in range(len(text)) if text[i : i + 2] == '\\"']
    job = Job(
        text,
        Rules(force_tokens=("\n",)),
        0.4,
        escapes=tuple(sorted(escapes, key=lambda e: e.start)),
    )
    result = fake().run(job)
    cuts = {edge for span in result.kept for edge in span}
    assert not any(e.start < cut < e.end for e in escapes for cut in cuts)
    assert "\\n" in result.text and len(result.text) < len(text)


@given(st.lists(st.tuples(WORDS, GAPS), min_size=1, max_size=60), RATES)
def test_a_text_written_in_escapes_is_compressed_like_the_text_itself(
    pieces: list[tuple[str, str]], rate: float
) -> None:
    text = "".join(word + gap for word, gap in pieces)
    written = "".join(f"\\{char}" for char in text)
    escapes = tuple(Escape(2 * i, 2 * i + 2, char) for i, char in enumerate(text))
    result = fake().run(Job(written, Rules(threshold=rate), escapes=escapes))
    plain = fake().compress(text, threshold=rate)
    if not result.reason and not plain.reason:
        assert result.text == "".join(f"\\{char}" for char in plain.text)


@pytest.mark.parametrize("settled", [{"rate": 1.0}, {"target_tokens": 500}])
def test_tags_are_dropped_where_nothing_else_is(settled: dict[str, Any]) -> None:
    text = "the <keep>word</keep> of"
    dropped = [Mark(4, 10, "tag"), Mark(14, 21, "tag")]
    result = fake().compress(text, **settled, dropped=dropped)
    assert (result.text, result.reason) == ("the word of", "")
    assert result.kept == ((0, 4), (10, 14), (21, 24))
