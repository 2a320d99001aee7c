from __future__ import annotations

import threading

import numpy as np
import pytest

from proxy.compress.compressor import Compressor
from proxy.compress.scorer import Floats, Ints
from proxy.errors import CheckpointError
from proxy.types import Mark
from tests.compress.readers import fake, reader


class Scores:
    """A classifier that likes the given words and no others."""

    name = fingerprint = "scores"

    def __init__(self, *liked: str) -> None:
        inner = reader().tokenizer
        ids = [inner.encode(word, [(0, len(word))]).ids for word in liked]
        self.liked = np.concatenate(ids) if ids else np.zeros(0, np.int64)

    def score(self, ids: Ints) -> Floats:
        return np.where(np.isin(ids, self.liked), 0.9, 0.1).astype(np.float32)


def liking(*words: str) -> Compressor:
    return Compressor(Scores(*words), reader(), threads=1)


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\t \u00a0"])
def test_empty_text_and_white_space_come_back(text: str) -> None:
    result = fake().compress(text, 0.5)
    assert (result.text, result.reason) == (text, "empty")


def test_one_word_is_never_compressed_to_nothing() -> None:
    assert fake().compress("word", 0.01).text == "word"


def test_only_forced_words_come_back_with_the_reason() -> None:
    result = fake().compress("1 2 3", 0.1, force_reserve_digit=True)
    assert (result.text, result.reason) == ("1 2 3", "protected")


def test_the_words_with_the_best_scores_stay_in_order() -> None:
    result = liking("word", "number").compress("the word of a number is on", target_tokens=2)
    assert result.text == "word number"


def test_target_tokens_that_the_text_fits_in_leave_it_alone() -> None:
    assert fake().compress("the word", target_tokens=50).reason == "fits"


@pytest.mark.parametrize("how", [{"budget": "window"}, {"threshold": 0.5, "force_tokens": ["\n"]}])
def test_where_no_word_is_better_than_the_others_one_stays(how: dict[str, object]) -> None:
    rules = {"force_tokens": ["\n"], **how}
    result = liking().compress("word the of\nit that word\n" * 9, 0.5, **rules)  # type: ignore[arg-type]
    assert "word" in result.text and not result.reason


def test_a_threshold_keeps_what_is_at_or_above_it() -> None:
    text = "the word of a number is on"
    assert liking("word", "number").compress(text, threshold=0.5).text == "word number"


def test_forced_tokens_count_towards_the_budget() -> None:
    text = "the word of. A number is on. " * 10
    result = fake().compress(text, 0.5, force_tokens=["."])
    assert result.tokens_after <= round(0.5 * result.tokens_before)


def test_a_gap_is_one_space_and_neighbours_keep_what_stood_between_them() -> None:
    text = "word   number of the   word"
    assert liking("word", "number").compress(text, threshold=0.5).text == "word   number word"


def test_a_forced_line_end_stands_where_a_line_was_dropped() -> None:
    text = "word the\nof is\nnumber"
    keep = {"threshold": 0.5}
    assert liking("word", "number").compress(text, **keep).text == "word number"
    kept = liking("word", "number").compress(text, force_tokens=["\n"], **keep).text
    assert kept == "word\n\nnumber"


def test_drop_consecutive_keeps_one_of_a_run_of_marks() -> None:
    text = "word the. Of is. In it.\nnumber"
    rules = {"force_tokens": ["\n", "."], "drop_consecutive": True, "threshold": 0.5}
    assert liking("word", "number").compress(text, **rules).text == "word.\nnumber"


def test_nothing_is_put_between_cjk_characters() -> None:
    compressor = Compressor(Scores("word"), reader(), threads=1)
    result = compressor.compress("word 中 文 the 字", threshold=0.5, force_tokens=["中", "字"])
    assert "中字" in result.text or "中 文" in result.text


def test_marks_keep_words_apart_that_no_space_did() -> None:
    text = "word—the—number"
    assert liking("word", "number").compress(text, threshold=0.5).text == "word—number"


def test_a_mark_goes_with_the_word_it_leans_on() -> None:
    text = "word (the number) is. The of, and a"
    result = liking("word", "number").compress(text, threshold=0.5)
    assert result.text == "word number"


def test_intact_blocks_do_not_count_towards_the_rate() -> None:
    block = "```\n" + "x = 1\n" * 50 + "```"
    text = "the word of a number is on " * 10 + "\n\n" + block + "\n\n" + "the of word is " * 10
    start = text.index("```")
    result = fake().compress(text, 0.5, intact=[Mark(start, start + len(block), "code")])
    assert "\n\n" + block + "\n\n" in result.text
    outside = result.tokens_before - 253
    assert result.tokens_after - 253 == pytest.approx(0.5 * outside, abs=6)


def test_emoji_and_unknown_words_do_not_vanish_for_being_unknown() -> None:
    text = "the word of a number 😀 is on and to that it for with as was in 🎉 the word " * 3
    assert fake(256).compress(text, 0.2).text.count("😀") == 3


def test_text_in_a_script_that_the_vocabulary_lacks_is_left_alone() -> None:
    text = "Съешь же ещё этих мягких французских булок да выпей чаю. " * 10
    result = fake(256).compress(text, 0.3)
    assert (result.text, result.reason) == (text, "language")


def test_lone_surrogates_and_nul_bytes_survive() -> None:
    text = "the word \ud800 of a number \x00 is on the word of " * 4
    assert "\ud800" in fake().compress(text, 0.5).text


def test_special_looking_text_is_ordinary_text() -> None:
    text = "the <|endoftext|> word [SEP] of [CLS] <s> number </s> is on " * 5
    result = fake().compress(text, 0.5)
    assert 0 < result.tokens_after <= round(0.5 * result.tokens_before)


def test_windows_are_scored_by_as_many_threads_as_asked() -> None:
    names: set[str] = set()
    both = threading.Barrier(2, timeout=10)

    class Meeting(Scores):
        def score(self, ids: Ints) -> Floats:
            if len(names) < 2:
                names.add(threading.current_thread().name)
                both.wait()
            return super().score(ids)

    Compressor(Meeting(), reader(), threads=2).compress("the word of a number " * 12, 0.5)
    assert len(names) == 2


@pytest.mark.parametrize("model", ["no-such-model", "./no/such/dir", "builtin-huge"])
def test_an_unknown_model_is_named_with_what_there_is(model: str) -> None:
    with pytest.raises(CheckpointError, match="builtin"):
        Compressor.load(model)


def test_what_stays_in_any_case_is_not_scored() -> None:
    class Never(Scores):
        def score(self, ids: Ints) -> Floats:
            raise AssertionError("scored")

    compressor = Compressor(Never(), reader(), threads=1)
    result = compressor.compress("1 2 3 4 5 " * 40, 0.5, force_reserve_digit=True)
    assert result.reason == "protected"


def test_a_word_is_worth_the_mean_of_its_tokens_or_its_first() -> None:
    compressor = liking("number", "compress")
    text = "a number of compressing"  # compress ##ing: mean 0.5, first 0.9
    first = compressor.compress(text, threshold=0.7, token_to_word="first")
    mean = compressor.compress(text, threshold=0.7, token_to_word="mean")
    assert (first.text, mean.text) == ("number compressing", "number")


def test_a_threshold_that_no_word_reaches_leaves_the_best_one() -> None:
    assert liking("number").compress("the number of", threshold=0.99).text == "number"


def test_between_two_blocks_the_line_end_of_the_first_stays() -> None:
    text = "```\nx\n```\nthe of <b> and"
    blocks = [Mark(0, 9, "code"), Mark(17, 20, "tag")]
    result = fake().compress(text, 0.01, intact=blocks)
    assert result.text.startswith("```\nx\n```\n<b>")
