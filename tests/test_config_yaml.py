"""YAML to plain values with lines; what is no YAML is told in plain words."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from proxy.config_yaml import YamlError, parse


def test_only_true_and_false_are_booleans() -> None:
    text = "[off, on, no, yes, y, true, False, null, ~, 2024-01-01, 1:30]"
    expected = ["off", "on", "no", "yes", "y", True, False, None, None, "2024-01-01", "1:30"]
    assert parse(text).value == expected


def test_numbers() -> None:
    assert parse("[1, -2, 0x1f, 0o17, 1.5, .5, 1e-3, 3., 010]").value == [
        *(1, -2, 31, 15, 1.5, 0.5, 0.001, 3.0, 10)
    ]


def test_quotes_and_str_tags_make_text() -> None:
    assert parse("""['5', "off", !!str 5, "", '']""").value == ["5", "off", "5", "", ""]


def test_nothing_after_a_colon_is_none() -> None:
    assert parse("a:\nb: ''").value == {"a": None, "b": ""}


def test_keys_are_always_text() -> None:
    assert parse("{1: a, true: b, null: c}").value == {"1": "a", "true": "b", "null": "c"}


def test_each_value_knows_its_line() -> None:
    document = parse("a:\n  b: 1\n  c:\n    - x\n    - {d: 2,\n       e: 3}\n")
    lines = document.lines
    assert (lines["a",], lines["a", "b"], lines["a", "c", 0]) == (1, 2, 4)
    assert (lines["a", "c", 1], lines["a", "c", 1, "d"], lines["a", "c", 1, "e"]) == (5, 5, 6)


def test_a_key_that_stands_twice_is_told_with_both_lines() -> None:
    document = parse("a: 1\nb: 2\na: 3")
    assert document.value == {"a": 1, "b": 2}
    assert document.problems == ((("a",), 3, "stands here a second time; it is on line 1 already"),)


def test_merges_yield_to_what_is_written_out_and_keep_its_lines() -> None:
    document = parse("base: &b {x: 1, y: 2}\nmore: &m {x: 7, z: 8}\nc:\n  y: 3\n  <<: [*b, *m]\n")
    assert document.value["c"] == {"x": 1, "y": 3, "z": 8}
    assert document.lines["c", "y"] == 4


@pytest.mark.parametrize("text", ["a: &x [*x]", "a: &x {b: *x}", "a: &x {<<: *x}"])
def test_an_anchor_in_itself_is_told(text: str) -> None:
    with pytest.raises(YamlError, match="contains itself"):
        parse(text)


def test_a_billion_laughs_are_cut_short() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    with pytest.raises(YamlError, match="unfolds"):
        parse("\n".join(rows))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a:\n\tb: 1", 2, "tab"),
        ("a: 'x\nb: 1", 2, "never closed"),
        ("a: [1,\nb: 1", 2, "not closed"),
        ("a: 1\nb: c: d", 2, "': '"),
        ("a: 1\n b: 2", 2, "indented unevenly"),
        ("a: 1\n---\nb: 2", 2, "second document"),
        ("a: {model: *}", 1, "quotes"),
        ("a: *foo", 1, "quotes"),
        ("a: @foo", 1, "quotes"),
        ('a: "\\d"', 1, "escape"),
        ("a: 1\nb: \x01", 2, "U+0001"),
        ("{a: 1}}", 1, "left over"),
        ("a: ]", 1, "bracket"),
        ("- a\nb: 2", 2, "indented"),
        ("[" * 5000, 1, "nested"),
        ("%YAML 9\na: 1", 1, "YAML"),
        ('a: 1\nb: "x\\ud800"', 2, "surrogate"),
        ('a:\n  "\\udfff": 1', 2, "surrogate"),
    ],
)
def test_what_is_no_yaml_is_told_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(YamlError) as caught:
        parse(text)
    assert caught.value.line == line
    assert words in caught.value.what


@pytest.mark.parametrize(
    "text", ["a: !!python/object:os.system x", "a: !mine {b: 1}", "a: !!int x"]
)
def test_tags_are_refused_and_construct_nothing(text: str) -> None:
    (problem,) = parse(text).problems
    assert problem[:2] == (("a",), 1)
    assert "tag" in problem[2]


def test_a_number_of_thousands_of_digits_is_a_problem_and_no_crash() -> None:
    (problem,) = parse("a: " + "9" * 5000).problems
    assert "too many digits" in problem[2]


@pytest.mark.parametrize(
    "text", ["api_key: sk-hidden: x", "api_key: *sk-hidden", "api_key: 'sk-hidden", "!sk-hidden x"]
)
def test_no_complaint_quotes_the_text(text: str) -> None:
    try:
        told = str(parse(text).problems)
    except YamlError as exc:
        told = exc.what + str(exc) + str(exc.__cause__)
    assert "hidden" not in told


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(plain)
def test_what_yaml_writes_in_quotes_is_read_back(value: object) -> None:
    text = yaml.safe_dump(value, default_style='"', allow_unicode=True)
    assert parse(text).value == value


@given(st.text(alphabet="ab:-[]{}&*!|>'\"%@`#?,\n\t 01.<~", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        document = parse(text)
    except YamlError as exc:
        assert 1 <= exc.line <= text.count("\n") + 1  # one of two right outcomes
    else:
        assert all(line >= 1 for line in document.lines.values())
