"""Paths into JSON documents."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.json_path import Key, parse


@pytest.mark.parametrize(
    "path,keys",
    [
        ("$.body", ["body"]),
        ("$.items[*].body", ["items", 3, "body"]),
        ("$.items.*.body", ["items", "x", "body"]),
        ("$..body", ["body"]),
        ("$..body", ["a", 0, "b", "body"]),
        ("$..body", ["body", "body"]),
        ("$..items[*].text", ["a", "items", 0, "text"]),
        ("$[0]", [0]),
        ("$..[0]", ["a", 0]),
        ("$[*]", ["any"]),
        ("$..*", ["a", 1]),
        ("$.*_text", ["long_text"]),
        ("$.b?dy", ["body"]),
        ("$['a.b'].c", ["a.b", "c"]),
        ('$["*"]', ["*"]),
        ("$['it\\'s \"so\"']", ['it\'s "so"']),
        ("$..['x y']", [2, "x y"]),
        ("$.naïve-name", ["naïve-name"]),
    ],
)
def test_a_path_leads_there(path: str, keys: list[Key]) -> None:
    assert parse(path).matches(keys)


@pytest.mark.parametrize(
    "path,keys",
    [
        ("$.body", ["a", "body"]),
        ("$.body", ["body", "a"]),
        ("$.body", ["BODY"]),
        ("$.items[*].body", ["items", "body"]),
        ("$.items[1]", ["items", 11]),
        ("$.items[1]", ["items", "1"]),
        ("$..body", ["body", 0]),
        ('$["*"]', ["a"]),
        ("$.1*", [12]),
        ("$.body", []),
    ],
)
def test_a_path_leads_nowhere_else(path: str, keys: list[Key]) -> None:
    assert not parse(path).matches(keys)


@pytest.mark.parametrize(
    "path",
    ["", "body", "$", "$.", "$..", "$.a.", "$[", "$[1", "$[-1]", "$[a]", "$['a]", "$.a b", "$a",
     "$[1:2]", "$[?(@.a)]", "$.a..", "$['\\x']", "$$", ".a"],
)  # fmt: skip
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError):
        parse(path)


KEYS = st.lists(st.sampled_from(["a", "b", "ab"]) | st.integers(0, 2), max_size=5)


@given(KEYS)
def test_every_place_has_a_path_of_its_own(keys: list[Key]) -> None:
    if not keys:
        return
    path = "$" + "".join(f"[{k}]" if isinstance(k, int) else f"['{k}']" for k in keys)
    assert parse(path).matches(keys)
    assert parse("$" + "[*]" * len(keys)).matches(keys)
    assert parse("$.." + path[1:].lstrip(".")).matches(["b", *keys])
    assert not parse(path).matches([*keys, 0])


def test_a_hostile_path_is_matched_in_linear_time() -> None:
    assert not parse("$" + "..*" * 200).matches(["a"] * 190)
    assert parse("$" + "..*" * 200).matches(["a"] * 210)
