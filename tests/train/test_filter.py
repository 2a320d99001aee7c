"""Filtering by percentiles, the report that goes with it, and the three stages in a row."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer import Typer
from typer.testing import CliRunner

from proxy.errors import ConfigError
from proxy.train import filter as filter_stage
from proxy.train.annotate import AnnotateSettings, annotate_pairs, label
from proxy.train.distill import distill_texts
from proxy.train.distill_journal import as_line, read_rows
from proxy.train.distill_plan import DistillSettings
from proxy.train.filter import FilterSettings, choose, filter_rows, threshold
from tests.train.distill_server import Reply, Teacher, serving

QUIET = Console(quiet=True)
RATES = st.lists(st.tuples(st.sampled_from([0, 0.1, 0.2]) | st.floats(0, 1), st.floats(0, 1)))
SHARES = st.sampled_from([0, 0.05, 0.1, 0.5, 0.99])


class TestThresholds:
    def test_the_asked_share_of_distinct_rates_goes(self) -> None:
        values = [index / 1000 for index in range(1000)]
        assert sum(value > threshold(values, 0.05) for value in values) == 50
        assert sum(value > threshold(values, 0.29) for value in values) == 290

    def test_rows_of_equal_rate_stay_or_go_together(self) -> None:
        assert threshold([0.0] * 100, 0.05) == 0
        mixed = [0.0] * 90 + [0.5] * 10
        assert threshold(mixed, 0.05) == 0.5, "5 of the 10 at 0.5 may go, so none does"
        assert threshold(mixed, 0.10) == 0.0

    def test_small_sets_lose_no_more_than_their_share(self) -> None:
        assert threshold([0.1, 0.9], 0.1) == 0.9
        assert threshold([0.5], 0.99) == 0.5
        assert threshold([], 0.1) == math.inf

    @given(RATES, SHARES, SHARES)
    def test_each_row_goes_to_one_place_and_the_worst_go(
        self, rates: list[tuple[float, float]], drop_vr: float, drop_ag: float
    ) -> None:
        outcome = choose(rates, drop_vr, drop_ag)
        everywhere = [*outcome.kept, *outcome.by_vr.rows, *outcome.by_ag.rows]
        assert sorted(everywhere) == list(range(len(rates)))
        assert list(outcome.kept) == sorted(outcome.kept)
        assert len(outcome.by_vr.rows) <= drop_vr * len(rates) + 1e-6
        assert len(outcome.by_ag.rows) <= drop_ag * len(rates) + 1e-6
        passed = [*outcome.kept, *outcome.by_ag.rows]
        if passed and outcome.by_vr.rows:
            assert max(rates[r][0] for r in passed) < min(rates[r][0] for r in outcome.by_vr.rows)
        if outcome.kept and outcome.by_ag.rows:
            best_dropped = min(rates[row][1] for row in outcome.by_ag.rows)
            assert max(rates[row][1] for row in outcome.kept) < best_dropped

    def test_second_threshold_is_that_of_the_rows_that_are_left(self) -> None:
        rates = [(0.9, 0.9)] * 5 + [(index / 1e6, index / 100) for index in range(95)]
        outcome = choose(rates, 0.05, 0.10)
        assert outcome.by_vr.rows == (0, 1, 2, 3, 4)
        assert outcome.by_ag.rows == tuple(range(99, 90, -1)), "9 of 95, worst first"

    def test_clean_set_is_kept_whole(self) -> None:
        assert len(choose([(0.0, 0.0)] * 50, 0.05, 0.10).kept) == 50


def row_of(text: str, compressed: str, document: str = "d") -> dict[str, Any]:
    labelled = label(text, compressed)
    rates = labelled.metrics
    return {
        "text": text,
        "words": labelled.words,
        "labels": labelled.labels,
        "doc": document,
        "source": "s",
        "weight": 1.0,
        "metrics": {"vr": rates.vr, "mr": rates.mr, "hr": rates.hr, "ag": rates.ag},
        "compressed": compressed,
    }


def rows_file(folder: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path = folder / "rows.jsonl"
    path.write_bytes(b"".join(map(as_line, rows)))
    return path


def settings_for(folder: Path, rows: Sequence[dict[str, Any]], **shares: Any) -> FilterSettings:
    source = rows_file(folder, rows)
    return FilterSettings(source, folder / "kept.jsonl", folder / "report", **shares)


def some_rows() -> list[dict[str, Any]]:
    text = "The council approved the *new* budget on Monday."
    good = [
        row_of(text, f"council approved budget {'Monday' * (n % 2)}", f"d{n}") for n in range(18)
    ]
    foreign = row_of(text, "aliens endorsed spending *plans*", "foreign")
    repeated = row_of(text, "budget budget budget council council", "repeated")
    return [foreign, *good, repeated]


class TestStage:
    def test_worst_rows_go_and_the_others_stay_as_they_were(self, tmp_path: Path) -> None:
        settings = settings_for(tmp_path, some_rows())
        outcome = filter_rows(settings, QUIET)
        lines = settings.source.read_bytes().splitlines(keepends=True)
        assert outcome.by_vr.rows == (0,)
        assert outcome.by_ag.rows == (19,)
        assert settings.target.read_bytes() == b"".join(lines[1:19])

    def test_report_holds_counts_a_picture_and_the_worst_to_read(self, tmp_path: Path) -> None:
        settings = settings_for(tmp_path, some_rows())
        filter_rows(settings, QUIET)
        counts = json.loads((settings.report / "report.json").read_text())
        assert counts["rows"] == 20 and counts["kept"] == 18
        assert counts["dropped_by_vr"] == counts["dropped_by_ag"] == 1
        picture = (settings.report / "histograms.png").read_bytes()
        assert picture.startswith(b"\x89PNG") and len(picture) > 5000
        assert "| kept | 18 |" in (settings.report / "report.md").read_text()
        worst = (settings.report / "worst.md").read_text()
        assert "### foreign: VR 0.667" in worst
        assert "**aliens endorsed spending** \\***plans**\\*" in worst
        assert "### repeated" in worst
        assert "**council** approved the \\*new\\* **budget**" in worst

    def test_same_rows_make_the_same_files(self, tmp_path: Path) -> None:
        def contents(folder: Path) -> dict[str, bytes]:
            folder.mkdir()
            filter_rows(settings_for(folder, some_rows()), QUIET)
            files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
            return {str(path.relative_to(folder)): path.read_bytes() for path in files}

        assert contents(tmp_path / "a") == contents(tmp_path / "b")

    @pytest.mark.parametrize("number", [0, 1, 3])
    def test_small_sets_are_kept_whole_with_a_report(self, tmp_path: Path, number: int) -> None:
        settings = settings_for(tmp_path, some_rows()[:number])
        filter_rows(settings, QUIET)
        assert settings.target.read_bytes() == settings.source.read_bytes()
        assert (settings.report / "histograms.png").exists()

    def test_share_zero_keeps_everything(self, tmp_path: Path) -> None:
        outcome = filter_rows(settings_for(tmp_path, some_rows(), drop_vr=0, drop_ag=0), QUIET)
        assert len(outcome.kept) == 20

    def test_odd_texts_can_be_reported(self, tmp_path: Path) -> None:
        odd = row_of("\ud800 a\x00b | <b> `c`\n\n# d", "zebra \udfff **", "\n# x")
        settings = settings_for(tmp_path, [odd] * 3 + some_rows(), drop_vr=0.3)
        filter_rows(settings, QUIET)
        assert "\n# d" not in (settings.report / "worst.md").read_text()

    @pytest.mark.parametrize("share", [-0.1, 1.0, math.nan])
    def test_bad_share_is_refused(self, tmp_path: Path, share: float) -> None:
        with pytest.raises(ConfigError, match="drop-vr"):
            filter_rows(settings_for(tmp_path, [], drop_vr=share), QUIET)

    @pytest.mark.parametrize(
        "change", [{"metrics": None}, {"metrics": {"vr": math.nan, "ag": 0, "mr": 0}}]
    )
    def test_row_without_rates_is_named(self, tmp_path: Path, change: dict[str, Any]) -> None:
        rows = [*some_rows()[:2], {**some_rows()[0], **change}]
        with pytest.raises(ConfigError, match=r"rows\.jsonl:3: no number in metrics\.vr"):
            filter_rows(settings_for(tmp_path, rows), QUIET)

    def test_rows_are_not_written_over_themselves(self, tmp_path: Path) -> None:
        source = rows_file(tmp_path, some_rows())
        with pytest.raises(ConfigError, match="written over"):
            filter_rows(FilterSettings(source, source, tmp_path / "report"), QUIET)

    def test_command_puts_the_report_beside_the_target(self, tmp_path: Path) -> None:
        app = Typer()
        app.command()(filter_stage.filter)
        source, target = rows_file(tmp_path, some_rows()), tmp_path / "kept.jsonl"
        result = CliRunner().invoke(app, [str(source), str(target), "--drop-vr", "0.1"])
        assert result.exit_code == 0, result.output
        assert (tmp_path / "kept.report" / "report.md").exists()


def test_texts_go_through_all_three_stages(tmp_path: Path) -> None:
    """A teacher that deletes mostly, and sometimes cuts, rewords and reorders."""

    def react(text: str, n: int) -> Reply:
        number = int(text.split()[1])
        kept = text.split()[::2]
        if number == 3:
            return Reply(" ".join(kept[:2]), finish_reason="length")
        if number == 5:
            return Reply("Entirely different wording was used here instead")
        if number == 7:
            return Reply(" ".join(reversed(kept)))
        return Reply(" ".join(kept))

    texts = tmp_path / "texts.jsonl"
    words = "alpha beta gamma delta epsilon zeta eta theta iota kappa"
    rows = [{"id": n, "text": f"Text {n} tells {words} and more."} for n in range(24)]
    texts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    pairs, labelled = tmp_path / "pairs.jsonl", tmp_path / "rows.jsonl"
    with serving(Teacher(react)) as url:
        report = distill_texts(DistillSettings(texts, pairs, "m", base_url=url), console=QUIET)
    assert (report.written, report.failed) == (23, 1)
    annotate_pairs(AnnotateSettings(pairs, labelled), QUIET)
    kept = tmp_path / "kept.jsonl"
    outcome = filter_rows(FilterSettings(labelled, kept, tmp_path / "report"), QUIET)
    documents = {row["doc"] for _, row in read_rows(kept)}
    assert len(outcome.by_vr.rows) == 1
    assert documents == {str(n) for n in range(24)} - {"3", "5"}
