"""``drop_consecutive``: no mark is left with nothing to end."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.types import Compressed, Mark
from tests.compress.readers import fake

FORCED = ["\n", ".", "!", "?"]
SENTENCES = st.lists(
    st.lists(st.sampled_from("the council met about a roof of it".split()), min_size=1, max_size=6),
    min_size=1,
    max_size=4,
)
PARAGRAPHS = st.lists(
    st.tuples(st.sampled_from(["", "# Of it\n", "Ines: ", "- "]), SENTENCES), min_size=2, max_size=6
)


def kept(text: str, *words: str) -> Compressed:
    """The text with nothing but these words and what is forced."""
    marks = [Mark(m.start(), m.end(), "word") for w in words for m in re.finditer(w, text)]
    return fake().compress(
        text, 0.01, forced=sorted(marks, key=lambda m: m.start), force_tokens=FORCED,
        drop_consecutive=True, keep_labels=True, keep_list_marks=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words", "left"),
    [
        ("The end. A roof leaks. So.", ["roof"], "roof."),
        ("# Title\nThe end. A roof leaks.", ["# Title", "roof"], "# Title\nroof."),
        ("One is.\n\nThe end.\n\nA roof.", ["One", "roof"], "One.\n\nroof."),
        ("Ines: Oh. A roof leaks.", ["roof"], "Ines: roof."),
        ("- Oh. A roof.\n- It was! Oh?\n- Tiles.", ["roof", "Tiles"], "- roof.\n- Tiles."),
        ("- the of\n  roof is.\n- Tiles.", ["roof", "Tiles"], "- roof.\n- Tiles."),
        ("A roof which\nleaks. The end.", ["roof", "end"], "roof\nend."),
        ("A roof which\nleaks.\nThe end.", ["roof", "end"], "roof.\nend."),
        ("A roof... Oh. The end.", ["roof", "end"], "roof... end."),
        ("Oh... A roof.", ["roof"], "roof."),
        ("Oh.\n\nA roof.", ["roof"], "roof."),
    ],
)
def test_an_end_with_nothing_to_end_goes(text: str, words: list[str], left: str) -> None:
    assert kept(text, *words).text == left


def test_marks_in_spans_that_must_stay_are_not_touched() -> None:
    text = "Oh. The end. A roof leaks."
    result = fake().compress(
        text, 0.2, forced=[Mark(0, 12, "quote")], force_tokens=FORCED, drop_consecutive=True
    )
    assert result.text.startswith("Oh. The end.")


def test_a_block_has_the_lines_around_it_once() -> None:
    text = "The roof.\n\nOf it.\n\n    code here\n\nAnd of it.\n\nA leak of the roof."
    start = text.index("code")
    result = fake().compress(
        text, 0.1, intact=[Mark(start, start + 9, "code")], force_tokens=FORCED,
        forced=[Mark(4, 8, "word"), Mark(len(text) - 5, len(text) - 1, "word")],
        drop_consecutive=True,
    )  # fmt: skip
    assert result.text == "roof.\n\n    code here\n\nroof."


@given(PARAGRAPHS, st.floats(0.02, 0.9))
@settings(max_examples=150)
def test_every_end_follows_a_word(
    paragraphs: list[tuple[str, list[list[str]]]], rate: float
) -> None:
    text = "\n\n".join(
        head + " ".join(" ".join(words) + "." for words in sentences)
        for head, sentences in paragraphs
    )
    headings = [Mark(m.start(), m.end(), "heading") for m in re.finditer(r"# Of it", text)]
    result = fake().compress(
        text, rate, forced=headings, force_tokens=FORCED, drop_consecutive=True, keep_labels=True,
        keep_list_marks=True,
    )  # fmt: skip
    for line in result.text.split("\n"):
        assert not re.search(r"^(# Of it)?\.|^(Ines:|-) ?\.|\.\s*\.", line), result.text
    assert not result.text.startswith("\n")
    assert result.text.strip(" .\n")


@given(SENTENCES)
@settings(max_examples=30)
def test_a_text_is_never_left_without_a_word(sentences: list[list[str]]) -> None:
    text = "".join("- " + " ".join(words) + ".\n" for words in sentences)
    result = fake().compress(
        text, target_tokens=1, force_tokens=FORCED, drop_consecutive=True, keep_list_marks=True
    )
    assert re.search(r"\w", result.text)
