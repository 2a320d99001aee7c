"""Labels from pairs: pure deletions come back exactly, whatever else comes back sane."""

from __future__ import annotations

import functools
import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer import Typer
from typer.testing import CliRunner

from proxy.compress.words import split
from proxy.errors import ConfigError
from proxy.train import annotate_align
from proxy.train.annotate import AnnotateSettings, annotate, annotate_pairs, label
from proxy.train.annotate_align import (
    ALIGNMENTS,
    Positions,
    TooLong,
    align_both,
    align_exact,
    align_window,
)
from proxy.train.annotate_stem import key
from proxy.train.distill_journal import read_rows

QUIET = Console(quiet=True)
METHODS = sorted(ALIGNMENTS)
WORDS = st.sampled_from("the The a cat cats ran run 3.5 , . no not 10,000 Zoë 好 we're".split())
UNIQUE = st.lists(st.from_regex(r"[b-df-hj-np-tv-z]{1,6}", fullmatch=True), unique_by=key)


@st.composite
def deletions(draw: st.DrawFn, words: st.SearchStrategy[list[str]]) -> tuple[list[str], list[int]]:
    """Words, and the positions of those that stay."""
    original = draw(words)
    keep = draw(st.lists(st.booleans(), min_size=len(original), max_size=len(original)))
    return original, [index for index, stays in enumerate(keep) if stays]


def scan(original: Sequence[str], compressed: Sequence[str], window: int) -> Positions:
    """The fuzzy window as the paper tells it: outwards, a step at a time."""
    used: set[int] = set()
    found: Positions = []
    centre = 0
    for word in compressed:
        match = None
        for step in range(window):
            for place in (centre + step, centre - step):
                free = 0 <= place < len(original) and place not in used
                if match is None and free and key(original[place]) == key(word):
                    match = place
        found.append(match)
        if match is not None:
            used.add(match)
            centre = min(match, centre + window // 2)
    return found


def best_score(original: Sequence[str], compressed: Sequence[str]) -> tuple[int, int, int]:
    """The best matches, same letters and neighbours, over all alignments that keep the order."""

    @functools.cache
    def best(i: int, j: int, after_match: bool) -> tuple[int, int, int]:
        if i == len(original) or j == len(compressed):
            return (0, 0, 0)
        options = [best(i + 1, j, False), best(i, j + 1, False)]
        if key(original[i]) == key(compressed[j]):
            matches, same, neighbours = best(i + 1, j + 1, True)
            same += original[i] == compressed[j]
            options.append((matches + 1, same, neighbours + after_match))
        return max(options)

    return best(0, 0, False)


def score(
    original: Sequence[str], compressed: Sequence[str], found: Positions
) -> tuple[int, int, int]:
    pairs = [(place, number) for number, place in enumerate(found) if place is not None]
    same = sum(original[place] == compressed[number] for place, number in pairs)
    neighbours = sum((place + 1, number + 1) in pairs for place, number in pairs)
    return (len(pairs), same, neighbours)


class TestAlignments:
    @pytest.mark.parametrize("method", ["exact", "both"])
    @given(case=deletions(st.lists(WORDS, max_size=40)))
    def test_pure_deletion_is_rebuilt_letter_by_letter(
        self, method: str, case: tuple[list[str], list[int]]
    ) -> None:
        original, kept = case
        compressed = [original[place] for place in kept]
        found = ALIGNMENTS[method](original, compressed, 150)
        places = [place for place in found if place is not None]
        assert [original[place] for place in places] == compressed
        assert places == sorted(set(places))

    @pytest.mark.parametrize("method", METHODS)
    @given(case=deletions(UNIQUE))
    def test_pure_deletion_of_words_that_differ_is_recovered(
        self, method: str, case: tuple[list[str], list[int]]
    ) -> None:
        original, kept = case
        assert ALIGNMENTS[method](original, [original[place] for place in kept], 150) == kept

    @given(case=deletions(st.lists(WORDS, max_size=40)))
    def test_window_loses_no_word_of_a_pure_deletion(
        self, case: tuple[list[str], list[int]]
    ) -> None:
        original, kept = case
        compressed = [original[place] for place in kept]
        found = align_window(original, compressed, 150)
        labelled = Counter(key(original[place]) for place in found if place is not None)
        assert labelled == Counter(map(key, compressed))

    @given(st.lists(WORDS, max_size=60), st.lists(WORDS, max_size=30), st.integers(1, 80))
    def test_window_is_the_slow_scan(
        self, original: list[str], compressed: list[str], window: int
    ) -> None:
        assert align_window(original, compressed, window) == scan(original, compressed, window)

    @given(st.lists(WORDS, max_size=9), st.lists(WORDS, max_size=7))
    def test_exact_is_the_best_that_keeps_the_order(
        self, original: list[str], compressed: list[str]
    ) -> None:
        found = align_exact(original, compressed)
        assert score(original, compressed, found) == best_score(original, compressed)

    @pytest.mark.parametrize("method", METHODS)
    @given(
        original=st.lists(WORDS, max_size=40),
        compressed=st.lists(WORDS, max_size=40),
        window=st.integers(1, 50),
    )
    def test_each_place_is_used_once_and_for_an_equal_word(
        self, method: str, original: list[str], compressed: list[str], window: int
    ) -> None:
        found = ALIGNMENTS[method](original, compressed, window)
        places = [place for place in found if place is not None]
        assert len(found) == len(compressed)
        assert len(set(places)) == len(places)
        for number, place in enumerate(found):
            assert place is None or key(original[place]) == key(compressed[number])

    def test_of_two_equal_words_the_one_beside_its_neighbour_is_taken(self) -> None:
        original = "the cat and the dog saw the bird".split()
        assert align_exact(original, "the dog the bird".split()) == [3, 4, 6, 7]

    def test_reordered_words_are_found_by_the_windows_alone(self) -> None:
        original = "council approved budget after long debate on Monday".split()
        compressed = "Monday council approved budget".split()
        assert align_window(original, compressed) == [7, 0, 1, 2]
        assert align_exact(original, compressed) == [None, 0, 1, 2]
        assert align_both(original, compressed) == [7, 0, 1, 2]

    def test_frequent_word_that_was_put_in_is_left_alone_by_both(self) -> None:
        original = "a the b the c the d the e".split()
        compressed = "a b c d e the the".split()
        assert align_both(original, compressed)[5:] == [None, None]
        assert None not in align_window(original, compressed)

    def test_both_is_the_best_of_three_under_noise(self) -> None:
        rng = random.Random(5)
        right: Counter[str] = Counter()
        for _ in range(40):
            original = [f"w{int(rng.paretovariate(0.8)) % 400}" for _ in range(300)]
            kept = [place for place in range(300) if rng.random() < 0.4]
            places: list[int | None] = list(kept)
            at, to = rng.randrange(90), rng.randrange(90)
            piece, places[at : at + 6] = places[at : at + 6], []
            places[to:to] = piece
            for _ in range(8):
                places.insert(rng.randrange(90), None)
            compressed = [original[p] if p is not None else f"w{rng.randint(1, 9)}" for p in places]
            for method in METHODS:
                found = ALIGNMENTS[method](original, compressed, 150)
                labelled = {place for place in found if place is not None}
                right[method] += len(labelled & set(kept)) - len(labelled - set(kept))
        assert right["both"] > right["exact"] > right["window"]

    def test_ten_thousand_words_are_labelled(self) -> None:
        rng = random.Random(1)
        original = [f"w{int(rng.paretovariate(0.7)) % 3000}" for _ in range(10_000)]
        compressed = [word for word in original if rng.random() < 0.4]
        assert None not in align_window(original, compressed)
        assert None not in align_window(["same"] * 10_000, ["same"] * 10_000)
        assert align_exact(original, compressed).count(None) == 0

    def test_texts_too_long_for_the_table_are_refused(self) -> None:
        with pytest.raises(TooLong, match="distil in chunks"):
            align_exact(["a"] * 20_000, ["a"] * 20_000)


class TestSameWords:
    @pytest.mark.parametrize(
        "forms",
        [
            "make makes making made Made",
            "hope hopes hoped hoping",
            "hop hops hopped hopping",
            "run runs running ran RUN",
            "policy policies",
            "try tries tried trying",
            "box boxes",
            "church churches",
            "agree agrees agreed agreeing",
            "decide decides decided deciding",
            "use uses used using",
            "council council's council’s Councils",
            "10000 10,000",
            "straße STRASSE",
        ],
    )
    def test_inflections_and_cases_are_the_same(self, forms: str) -> None:
        assert len({key(form) for form in forms.split()}) == 1

    def test_different_words_stay_different(self) -> None:
        words = "not note us use hop hope plan plane car care on one no now his this new red bed"
        assert len({key(word) for word in words.split()}) == len(words.split())

    @given(st.text())
    def test_any_string_has_a_key_in_any_case(self, word: str) -> None:
        assert isinstance(key(word), str)


TEXTS = st.lists(WORDS, max_size=30).map(" ".join) | st.text(max_size=200)


class TestLabels:
    @pytest.mark.parametrize("method", METHODS)
    @given(original=TEXTS, compressed=TEXTS, window=st.integers(1, 200))
    def test_any_pair_gets_labels_and_rates(
        self, method: str, original: str, compressed: str, window: int
    ) -> None:
        labelled = label(original, compressed, ALIGNMENTS[method], window)
        assert len(labelled.labels) == len(labelled.words) == len(split(original))
        assert set(labelled.labels) <= {0, 1}
        rates = labelled.metrics
        assert all(0 <= rate <= 1 for rate in (rates.vr, rates.mr, rates.hr, rates.ag))
        assert rates.ag == pytest.approx(rates.hr - rates.mr)
        if labelled.labels:
            assert rates.mr == sum(labelled.labels) / len(labelled.labels)

    @pytest.mark.parametrize("method", METHODS)
    @given(case=deletions(UNIQUE.filter(bool)), gap=st.sampled_from([" ", "\n", "\t  "]))
    def test_pure_deletion_in_a_text_is_recovered(
        self, method: str, case: tuple[list[str], list[int]], gap: str
    ) -> None:
        words, kept = case
        labelled = label(gap.join(words), " ".join(words[at] for at in kept), ALIGNMENTS[method])
        assert labelled.labels == tuple(int(at in kept) for at in range(len(words)))
        assert (labelled.metrics.vr, labelled.metrics.ag) == (0, 0)

    @pytest.mark.parametrize("method", METHODS)
    @given(case=deletions(st.lists(WORDS, min_size=1)), place=st.integers(0, 50))
    def test_rewording_raises_the_variation_rate(
        self, method: str, case: tuple[list[str], list[int]], place: int
    ) -> None:
        words, kept = case
        compressed = [words[at] for at in kept]
        compressed.insert(place % (len(kept) + 1), "zebra")
        assert label(" ".join(words), " ".join(compressed), ALIGNMENTS[method]).metrics.vr > 0

    def test_words_are_spans_of_the_surface_text(self) -> None:
        text = "Well, the council's budget — $10,000, i.e. 3.5 % more — was approved!"
        labelled = label(text, "council's budget $10,000 approved!")
        kept = [text[a:b] for (a, b), on in zip(labelled.words, labelled.labels, strict=True) if on]
        assert kept == ["council's", "budget", "$10,000", "approved", "!"]

    def test_rates_are_those_of_the_paper(self) -> None:
        labelled = label("a b c d e f g h", "a h zebra b a", ALIGNMENTS["window"])
        rates = labelled.metrics
        assert rates.vr == pytest.approx(1 / 5)
        assert rates.mr == pytest.approx(3 / 8)
        assert rates.hr == pytest.approx(4 / 8)
        assert rates.ag == pytest.approx(1 / 8)


def pairs_file(folder: Path, pairs: Sequence[dict[str, Any]]) -> Path:
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    return path


def some_pairs(number: int) -> list[dict[str, Any]]:
    return [
        {"id": f"d{n // 2}", "original": f"The {n} cats ran home.", "compressed": f"{n} cats home"}
        for n in range(number)
    ]


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_rows(path)]


class TestStage:
    def test_rows_are_in_the_training_format(self, tmp_path: Path) -> None:
        pairs = [*some_pairs(1), {"id": 7, "original": "x y", "compressed": "y", "source": "qmsum"}]
        settings = AnnotateSettings(
            pairs_file(tmp_path, pairs), tmp_path / "rows.jsonl", source_name="mine", weight=2.0
        )
        report = annotate_pairs(settings, QUIET)
        first, second = rows_of(settings.target)
        assert first["text"] == "The 0 cats ran home."
        assert first["words"] == [[0, 3], [4, 5], [6, 10], [11, 14], [15, 19], [19, 20]]
        assert first["labels"] == [0, 1, 1, 0, 1, 0]
        assert (first["doc"], first["source"], first["weight"]) == ("d0", "mine", 2.0)
        assert set(first["metrics"]) == {"vr", "mr", "hr", "ag"}
        assert (second["doc"], second["source"]) == ("7", "qmsum")
        assert report.means is not None and report.means.mr == pytest.approx(0.5)

    def test_interrupted_run_goes_on_and_ends_as_one_in_a_piece(self, tmp_path: Path) -> None:
        source = pairs_file(tmp_path, some_pairs(9))
        whole = AnnotateSettings(source, tmp_path / "whole.jsonl")
        annotate_pairs(whole, QUIET)
        content = whole.target.read_bytes()
        torn = AnnotateSettings(source, tmp_path / "torn.jsonl")
        torn.target.write_bytes(content[: len(content) // 2])
        report = annotate_pairs(torn, QUIET)
        assert 0 < report.done_before < 9
        assert torn.target.read_bytes() == content
        assert annotate_pairs(torn, QUIET).written == 0

    def test_labels_of_two_kinds_do_not_mix_in_a_file(self, tmp_path: Path) -> None:
        source = pairs_file(tmp_path, some_pairs(2))
        annotate_pairs(AnnotateSettings(source, tmp_path / "rows.jsonl"), QUIET)
        with pytest.raises(ConfigError, match="made by 'both-150', not 'window-150'"):
            annotate_pairs(AnnotateSettings(source, tmp_path / "rows.jsonl", "window"), QUIET)

    def test_pairs_without_a_row_are_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(annotate_align, "MOST_CELLS", 50)
        long = {"original": "word " * 20, "compressed": "word " * 20}
        pairs = [*some_pairs(1), long, {"original": " ", "compressed": "x"}, *some_pairs(1)]
        settings = AnnotateSettings(pairs_file(tmp_path, pairs), tmp_path / "rows.jsonl")
        report = annotate_pairs(settings, QUIET)
        assert (report.written, report.repeated) == (1, 1)
        assert [reason.split(";")[0] for reason in report.skipped.values()] == [
            "20 and 20 words are too long to align exactly",
            "no words",
        ]

    def test_command_tells_the_line_of_a_bad_pair_and_exits_2(self, tmp_path: Path) -> None:
        app = Typer()
        app.command()(annotate)
        source = pairs_file(tmp_path, [{"original": "a"}])
        result = CliRunner().invoke(app, [str(source), str(tmp_path / "rows.jsonl")])
        assert result.exit_code == 2
        assert "pairs.jsonl:1" in result.output.replace("\n", "")

    def test_command_writes_rows_by_the_method_asked_for(self, tmp_path: Path) -> None:
        app = Typer()
        app.command()(annotate)
        source, target = pairs_file(tmp_path, some_pairs(3)), tmp_path / "rows.jsonl"
        arguments = [str(source), str(target), "--method", "window", "--window", "20"]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        assert {row["method"] for row in rows_of(target)} == {"window-20"}
        bad = CliRunner().invoke(app, [str(source), str(target), "--method", "magic"])
        assert bad.exit_code == 2
