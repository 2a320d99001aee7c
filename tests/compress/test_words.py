from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.compress.words import Units, split


@pytest.mark.parametrize(
    "unit",
    [
        "3.5%", "$10,000", "€1.299,00", "1,000,000.50", "-5", "20 °C", "2024-05-01T10:30:00Z",
        "10:30", "http://foo.bar/baz?x=1&y=2", "https://a.b/c#d", "a.b+c@d-e.org",
        "/usr/local/bin", "./run.sh", "../up", "~/home/x", "src/foo_bar.py:12", "C:\\dir\\file",
        "std::vector", "a->b", "foo_bar.baz", "B2B", "GPT-4", "well-known", "don't", "it’s", "C++",
        "C#", "@user", "#tag", "--flag", "ERR-42", "192.168.0.1:80", "naïve", "Straße", "हिन्दी",
        "👨‍👩‍👧", "🇩🇪", "❤️", "...", "===", "v1.2.3-rc1", "5 %",
        "!=", "<=", "=>", "->", ":=", "k!=l", "i<=j", "i%2==0", "g=>h",
    ],
)  # fmt: skip
def test_what_must_not_be_cut_is_one_unit(unit: str) -> None:
    assert unit in split(f"word {unit} word").strings
    assert unit in split(f"word ({unit}), word").strings or unit[0] in "-./~#@"


def test_a_url_leaves_the_sentence_its_full_stop() -> None:
    assert split("See http://a.b/c.").strings == ["See", "http://a.b/c", "."]


def test_cjk_characters_are_units_of_their_own() -> None:
    assert split("你好 world").strings == ["你", "好", "world"]


def test_line_ends_are_units_only_where_they_are_asked_for() -> None:
    text = "a\n\n b \n c"
    assert split(text).strings == ["a", "b", "c"]
    assert split(text, lines=True).strings == ["a", "\n\n", "b", "\n", "c"]


def test_a_block_is_one_unit() -> None:
    text = "a b ```x y``` c"
    units = split(text, [(4, 13)])
    assert units.strings == ["a", "b", "```x y```", "c"]
    assert units.intact.tolist() == [False, False, True, False]


def test_no_unit_goes_over_a_cut_and_a_block_is_not_cut() -> None:
    units = split("forestation (x y) end", [(12, 17)], cuts=[0, 6, 14, 17, 19])
    assert units.strings == ["forest", "ation", "(x y)", "e", "nd"]


@given(st.text(max_size=300), st.booleans())
def test_every_visible_character_is_in_exactly_one_unit(text: str, lines: bool) -> None:
    units = split(text, lines=lines)
    covered = [i for s, e in zip(units.starts, units.ends, strict=True) for i in range(s, e)]
    assert covered == sorted(set(covered))
    missing = set(range(len(text))) - set(covered)
    assert all(text[i].isspace() for i in missing)


@pytest.mark.parametrize(
    "text",
    ["word " * 50_000, "a+" * 200_000, "a" * 1_000_000, "http://" * 50_000, "<" * 300_000,
     "a." * 200_000, "-" * 300_000 + "a", "$ " * 100_000, "a,1," * 100_000, "://" * 100_000],
)  # fmt: skip
def test_hostile_texts_end(text: str) -> None:
    assert len(split(text)) >= 1


def test_what_is_told_of_each_string_is_told_of_each_unit() -> None:
    units = split("A word, and 1 word more. " * 2_000)
    assert len(units) > 3 * 4_096
    assert units.each(len, np.int64).tolist() == [len(string) for string in units.strings]
    assert split("").each(len, np.int64).tolist() == []


@given(
    st.text(st.sampled_from("ab1 \n\t.,(\u3000\u4e2d") | st.characters(), max_size=60), st.data()
)
def test_a_part_knows_of_each_unit_what_the_whole_knows(text: str, data: st.DataObject) -> None:
    units = split(text, lines=True)
    low = data.draw(st.integers(0, len(units)))
    high = data.draw(st.integers(low, len(units)))
    part = units.part(slice(low, high))
    anew = Units(text, part.starts, part.ends, part.intact)
    for name in ("strings", "kinds", "opening", "closing", "space_after", "white_after", "glued"):
        assert list(getattr(part, name)) == list(getattr(anew, name)), name
    for end, space, white in zip(part.ends, part.space_after, part.white_after, strict=True):
        after = text[end:]
        assert space == (end + after.find(" ") if " " in after else len(text))
        blank = [at for at, char in enumerate(after) if char.isspace()]
        assert white == (end + blank[0] if blank else len(text))
