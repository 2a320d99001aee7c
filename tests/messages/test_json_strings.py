"""Which strings of JSON are compressed, and where they stand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config_policy import Policy
from proxy.messages.json_strings import about_tokens, is_prose, long_strings
from proxy.messages.segment import passage
from proxy.types import Passage

PROSE = "The council met on Monday and heard three reports about the roof of the library. "
LONG = PROSE * 8


def policy(**settings: Any) -> Policy:
    return Policy.model_validate({"min_tokens": 0, **settings})


def values(text: str, role: str = "tool", **settings: Any) -> list[tuple[str, float | None]]:
    found: Passage = passage(text, role, policy(**settings))
    strings = [(text[r.start : r.end], r.rate) for r in found.regions]
    return [(json.loads(f'"{inside}"'), rate) for inside, rate in strings]


def test_long_prose_is_compressed_wherever_it_stands() -> None:
    doc = {"id": 7, "title": PROSE, "items": [{"body": LONG, "n": 1}, [LONG]], "x": {"y": LONG}}
    for text in (json.dumps(doc), json.dumps(doc, indent=2), json.dumps([doc])):
        assert values(text) == [(LONG, None)] * 3


@pytest.mark.parametrize(
    "other",
    [
        "a1b2c3d4" * 200,
        "/usr/local/lib/python3.11/site-packages " * 50,
        "\n".join(f"x = f({n}); y[{n}] = x + 1" for n in range(60)),
        "2024-05-01T10:00:00Z 200 17ms 0x3f " * 40,
        "def f(x):\n    return x + 1\n\n" * 30,
        json.dumps({"body": LONG}),
        "<td>1</td><td>2</td>" * 60,
        "7 8 9 " * 200,
        "",
    ],
)
def test_long_strings_that_are_no_prose_stay(other: str) -> None:
    assert values(json.dumps({"a": other, "b": 1})) == []
    assert passage(json.dumps({"a": other}), "tool", policy()).reason == "json"


def test_the_first_path_that_leads_to_a_string_decides() -> None:
    doc = {"items": [{"body": LONG, "description": LONG}], "description": LONG, "rest": LONG}
    found = values(
        json.dumps(doc),
        json_paths={
            "$.items[*].body": {"rate": 0.3},
            "$..description": {"compress": False},
            "$..*": {"rate": 0.7},
        },
    )
    assert found == [(LONG, 0.3), (LONG, 0.7)]


def test_a_path_takes_what_is_no_prose_but_nothing_short() -> None:
    data = "x=1; y=2 " * 100
    doc = {"a": data, "b": "short", "c": LONG}
    rule: dict[str, Any] = {"rate": 0.2}
    assert values(json.dumps(doc), json_paths={"$.*": rule}) == [(data, 0.2), (LONG, 0.2)]
    rule["min_tokens"] = 0
    found = values(json.dumps(doc), json_paths={"$.*": rule}, json_min_tokens=None)
    assert found == [(data, 0.2), ("short", 0.2), (LONG, 0.2)]


def test_without_json_min_tokens_only_paths_decide() -> None:
    doc = {"a": LONG, "b": LONG}
    assert values(json.dumps(doc), json_min_tokens=None) == []
    only_b = {"$.b": {}}
    assert values(json.dumps(doc), json_min_tokens=None, json_paths=only_b) == [(LONG, None)]


def test_a_string_that_holds_json_stays_whatever_the_path_says() -> None:
    doc = {"a": json.dumps([{"text": LONG}])}
    assert values(json.dumps(doc), json_paths={"$.a": {"rate": 0.2, "min_tokens": 0}}) == []


def test_what_a_user_asks_in_json_stays() -> None:
    doc = {"question": LONG, "userQuery": LONG, "task_1": LONG, "context": LONG}
    assert len(values(json.dumps(doc), "user")) == 1
    assert len(values(json.dumps(doc), "tool")) == 4
    asked = {"content": f"{LONG}\n\nWho pays for the roof?"}
    marks = passage(json.dumps(asked), "user", policy()).intact
    assert "question" in [mark.reason for mark in marks]
    named = policy(json_paths={"$.content": {"rate": 0.5}})
    marks = passage(json.dumps(asked), "user", named).intact
    assert "question" not in [mark.reason for mark in marks]


def test_json_lines_are_taken_line_by_line() -> None:
    text = '{"n": 1}\n' + "\n".join(json.dumps({"t": LONG, "n": n}) for n in range(3)) + "\n\n"
    found = passage(text, "tool", policy(json_paths={"$.t": {"rate": 0.4}}))
    assert [r.rate for r in found.regions] == [0.4] * 3
    assert len(found.documents) == 4
    outside = set(range(len(text))) - {i for r in found.regions for i in range(r.start, r.end)}
    assert outside <= {i for m in found.intact for i in range(m.start, m.end)}


def test_json_lines_too_short_to_be_called_json_alone_stay() -> None:
    assert passage('{"n": 1}\n{"n": 2}\n{"n": 3}', "tool", policy()).reason == "json"


def test_json_within_prose_is_compressed_inside() -> None:
    doc = json.dumps({"t": LONG, "n": 1})
    text = f"{LONG}\n\n{doc}\n\n{LONG}"
    assert values(text) == [(LONG, None)]
    found = passage(text, "tool", policy())
    assert found.documents == ((text.index(doc), text.index(doc) + len(doc)),)


def test_json_in_a_fence_is_code_and_stays() -> None:
    text = f"{LONG}\n\n```json\n{json.dumps({'t': LONG})}\n```\n"
    assert values(text) == []


@pytest.mark.parametrize(
    "text",
    [
        f'{{"a": "{LONG}",}}',
        f'{{"a": "{LONG}"',
        f"{{'a': '{LONG}'}}",
        f'"{LONG}"',
    ],
    ids=["trailing comma", "cut off", "python", "bare string"],
)
def test_what_is_no_json_has_no_strings(text: str) -> None:
    assert passage(text, "tool", policy()).documents == ()


@pytest.mark.parametrize(
    "text",
    [
        '{"a": NaN, "b": "%s", "b": "%s"}',
        '[1e999, %s, "%%s", -Infinity, "%%s"]' % ("9" * 5000),
        '\ufeff{"b": "%s", "c": "%s"}',
        '[[["%s"]], {"": {"": "%s"}}]',
        "[" * 3000 + '"%s", "%s"' + "]" * 3000,
    ],
    ids=["nan and twice the same name", "huge numbers", "byte order mark", "nested", "very deep"],
)
def test_odd_json_is_compressed_inside(text: str) -> None:
    assert values(text % (LONG, LONG)) == [(LONG, None)] * 2


def test_escapes_are_read_as_what_they_mean_and_marked_in_place() -> None:
    value = (
        f'He said "no way" \u2026 caf\u00e9 \U0001f600\n\n\t{LONG}\\ http://a.b/c?d=1 \ud800 end'
    )
    text = json.dumps({"id": 1, "v": value})
    found = passage(text, "tool", policy())
    assert [e.char for e in found.escapes] == [
        c for c in value if c in '"\u2026\u00e9😀\n\t\\\ud800'
    ]
    assert all(text[e.start] == "\\" for e in found.escapes)
    forced = {text[m.start : m.end]: m.reason for m in found.forced}
    assert forced['\\"no way\\"'] == "quote" and forced["http://a.b/c?d=1"] == "url"


def test_nothing_of_json_is_compressed_where_the_policy_does_not_protect_it() -> None:
    found = passage(json.dumps({"a": LONG}), "tool", policy(protect=[]))
    assert (found.regions, found.documents, found.intact) == ((), (), ())


def test_prose_is_told_from_data() -> None:
    assert is_prose(LONG) and is_prose(f"# Title\n\n- {PROSE}\n- {PROSE}")
    assert not is_prose("aGVsbG8gd29ybGQ=" * 40) and not is_prose("")
    assert about_tokens(PROSE) == 16
    assert about_tokens("会议纪要") == 4


strings = st.sampled_from([LONG, PROSE, 'a "b" \\ \n é 😀 \ud83d', "", "{}", '{"a": 1}', "not 5"])
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | strings | st.text(max_size=20),
    lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(max_size=5), v, max_size=4),
    max_leaves=12,
).filter(lambda v: isinstance(v, dict | list))


@given(documents, st.booleans(), st.sampled_from([None, 0, 3]))
def test_every_string_has_its_place(doc: Any, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(doc, ensure_ascii=ascii_only, indent=indent)
    rules = policy(json_paths={"$..*": {"min_tokens": 0}})
    found = list(long_strings(text, [(0, len(text))], rules, asks=False))
    wanted = [v for v in leaves(doc) if v.strip() and not whole_json(v)]
    assert [s.value for s in found] == wanted
    for string in found:
        assert text[string.start - 1] == '"' == text[string.end]
        assert json.loads(f'"{text[string.start : string.end]}"') == string.value


def leaves(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [leaf for item in inner for leaf in leaves(item)]


def whole_json(value: str) -> bool:
    try:
        return isinstance(json.loads(value), dict | list)
    except ValueError:
        return False
