"""One value is set, and every other character stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config_edit import with_value
from proxy.config_file import shipped
from proxy.config_yaml import Place, parse
from proxy.errors import ConfigError

BLOCK = """\
# first
routes:   # who
  - match: {model: "a*"}   # one
    policy: p

  - policy: q # the last
"""


@pytest.mark.parametrize(
    "before,place,after",
    [
        ("routes: [{policy: p}]\n", ("routes", 0, "n"), "routes: [{policy: p, n: 7}]\n"),
        ("routes: [ { policy: p } ]", ("routes", 0, "n"), "routes: [ { policy: p, n: 7 } ]"),
        ("routes: [{policy: p,}]", ("routes", 0, "n"), "routes: [{policy: p, n: 7}]"),
        ("routes: [{}]", ("routes", 0, "n"), "routes: [{n: 7}]"),
        ("routes: [{n: 123, x: 1}] # c", ("routes", 0, "n"), "routes: [{n: 7, x: 1}] # c"),
        (BLOCK, ("routes", 1, "n"), BLOCK.replace("- policy: q", "- n: 7\n    policy: q")),
        (BLOCK, ("routes", 0, "n"), BLOCK.replace("- match", "- n: 7\n    match")),
        ("a: 1 # x\n", ("c", "n"), "a: 1 # x\n\nc:\n  n: 7\n"),
        ("a: 1\r\n", ("c", "n"), "a: 1\r\n\r\nc:\r\n  n: 7\r\n"),
        ("{a: 1}", ("c", "n"), "{a: 1, c: {n: 7}}"),
        ("c:\n  m: 1 # y\n\n# z\n", ("c", "n"), "c:\n  n: 7\n  m: 1 # y\n\n# z\n"),
        ("é: '🙂'\nc: {n: 1}\n", ("c", "n"), "é: '🙂'\nc: {n: 7}\n"),
    ],
)
def test_nothing_else_is_touched(before: str, place: Place, after: str) -> None:
    assert with_value(before, place, "7") == after


@pytest.mark.parametrize("text", ["routes: []", "routes: [5]", "routes: x", "- a"])
def test_a_place_that_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="write it out by hand"):
        with_value(text, ("routes", 0, "n"), "7")


names = st.sampled_from(["a", "b", "n", "m"])
scalars = st.integers(0, 99) | st.sampled_from(["x y", "it's", "#1", "é"])


@given(st.lists(st.dictionaries(names, scalars, max_size=3), min_size=1, max_size=4), st.data())
def test_the_value_is_there_and_the_others_are_what_they_were(
    routes: list[dict[str, object]], data: st.DataObject
) -> None:
    import yaml

    text = yaml.safe_dump(
        {"routes": routes}, default_flow_style=data.draw(st.sampled_from([None, True, False]))
    )
    index = data.draw(st.integers(0, len(routes) - 1))
    found = parse(with_value(text, ("routes", index, "n"), "7")).value["routes"]
    expected = parse(text).value["routes"]
    expected[index]["n"] = 7
    assert found == expected


def test_the_shipped_file_keeps_its_comments() -> None:
    text = shipped().read_text("utf-8")
    new = with_value(
        with_value(text, ("routes", 0, "pays_over"), "300"), ("calibration", "model"), '"x"'
    )
    assert [line for line in text.splitlines() if "#" in line] == [
        line.replace(", pays_over: 300", "") for line in new.splitlines() if "#" in line
    ]
    assert parse(new).value["routes"][0]["pays_over"] == 300
