"""Words drawn towards their sentence's mean."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from proxy.compress import Compressor
from proxy.compress.checkpoint import find
from proxy.compress.sentences import share
from proxy.compress.words import split
from proxy.errors import CheckpointError

BUILTIN = Path(__file__).parents[2] / "proxy" / "models" / "builtin"


def drawn(text: str, scores: list[float], part: float, **how: bool) -> list[float]:
    units = split(text, **how)
    assert len(units) == len(scores), units.strings
    found = share(units, np.array(scores, dtype=np.float32), part)
    return [round(float(score), 3) for score in found]


def test_a_word_of_a_telling_sentence_gains_and_one_of_an_idle_sentence_loses() -> None:
    text = "Copper prices doubled. Well, thanks everyone."
    before = [0.9, 0.9, 0.5, 0.1, 0.2, 0.1, 0.5, 0.2, 0.1]
    after = drawn(text, before, 0.5)
    assert after[2] > 0.5 > after[6]
    assert after[0] < 0.9 and after[4] > 0.2  # and each comes nearer to the others


def test_the_mean_is_of_log_odds_and_of_long_words() -> None:
    # (ln 9 + 0) / 2 for the long words; "of" does not count, but is drawn.
    after = drawn("tons of copper", [0.9, 0.01, 0.5], 0.5)
    mean = np.log(9) / 2
    want = [(np.log(9) + mean) / 2, (np.log(1 / 99) + mean) / 2, mean / 2]
    assert after == [round(float(1 / (1 + np.exp(-odds))), 3) for odds in want]


@pytest.mark.parametrize("gap", [". ", "\n", "\n\n", "? ", "! "])
def test_sentences_know_nothing_of_one_another(gap: str) -> None:
    marks = [0.3] * len(gap.strip())
    alone = drawn("copper prices", [0.9, 0.5], 0.4)
    both = drawn(f"thanks everyone{gap}copper prices", [0.2, 0.2, *marks, 0.9, 0.5], 0.4)
    assert both[-2:] == alone


def test_lines_that_are_units_end_sentences_too() -> None:
    alone = drawn("copper prices", [0.9, 0.5], 0.4)
    assert drawn("so\ncopper prices", [0.2, 0, 0.9, 0.5], 0.4, lines=True)[2:] == alone


def test_what_has_no_score_or_no_company_stays_as_it_is() -> None:
    assert drawn("copper prices rose", [0.9, 0.0, 0.5], 0.5)[1] == 0
    assert drawn("is it so", [0.9, 0.2, 0.5], 0.5) == [0.9, 0.2, 0.5]
    assert drawn("copper prices", [0.9, 0.5], 0) == [0.9, 0.5]
    assert drawn("copper", [0.0], 0.5) == [0]


def test_certain_scores_stay_numbers() -> None:
    assert all(0 <= score <= 1 for score in drawn("copper prices", [1.0, 1e-9], 0.5))


def test_the_card_says_how_much(tmp_path: Path) -> None:
    shutil.copytree(BUILTIN, tmp_path / "mine")
    file = tmp_path / "mine" / "precis.json"
    card = json.loads(file.read_text())
    texts = {}
    for part in (0, 0.9):
        file.write_text(json.dumps(card | {"sentence_share": part}))
        loaded = Compressor.load(str(tmp_path / "mine"))
        assert loaded.reader.sentence_share == part
        text = "The copper price doubled in May. And so, well, that was it, thank you all. " * 3
        texts[part] = loaded.compress(text, 0.4).text
    assert texts[0] != texts[0.9]


@pytest.mark.parametrize("part", [1, -0.1, "much", True, None])
def test_a_card_that_says_nonsense_is_refused(part: object, tmp_path: Path) -> None:
    shutil.copytree(BUILTIN, tmp_path / "mine")
    file = tmp_path / "mine" / "precis.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"sentence_share": part}))
    with pytest.raises(CheckpointError, match="sentence_share"):
        _ = find(str(tmp_path / "mine")).sentence_share
