"""Reading a chat request and writing it back with other texts."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import BadRequest
from proxy.messages.body import MAX_DEPTH, parse

ODD = (
    b' {"temperature" : 1.0 , "model": "gp\\u0074",\r\n "top_p":1e-1,"seed":'
    b"123456789012345678901234567890,"
    b'"messages" :\t[ {"content" : "a\\ud800b\\/" , "role":"user", "x":[1.50, {}]} ,\n'
    b'{"role":"assistant","content":null,"tool_calls":[{"id":"1"}]},'
    b'{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}} , '
    b'{"text":"h\\u00e9", "type":"text","cache_control":{"type":"ephemeral"}}]}] }\n'
)

texts = st.text(st.characters(), max_size=40)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(texts, v))
parts = st.lists(
    st.builds(lambda t: {"type": "text", "text": t}, texts)
    | st.builds(lambda v: {"type": "image_url", "image_url": v}, values),
    max_size=3,
)
messages = st.lists(
    st.builds(
        lambda content, extra: {**extra, "role": "user", "content": content},
        texts | st.none() | parts,
        st.dictionaries(texts, values, max_size=2),
    ),
    min_size=1,
    max_size=4,
)
requests = st.builds(
    lambda extra, m: {"temperature": 1.0, **extra, "model": "m", "stream": True, "messages": m},
    st.dictionaries(texts, values, max_size=3),
    messages,
)


def dumped(request: Any, ascii_only: bool, indent: int | None) -> bytes:
    text = json.dumps(request, ensure_ascii=ascii_only, indent=indent)
    return text.encode("utf-8", "backslashreplace")  # a lone surrogate cannot but be escaped


def test_texts_and_fields_are_read() -> None:
    chat = parse(ODD)
    assert (chat.model, chat.stream) == ("gpt", False)
    assert [m.role for m in chat.messages] == ["user", "assistant", "user"]
    assert {key: text.value for key, text in chat.texts.items()} == {
        (0, None): "a\ud800b/",
        (2, 1): "hé",
    }


def test_nothing_replaced_returns_the_very_body() -> None:
    chat = parse(ODD)
    assert chat.render({}) is ODD
    assert chat.render({(0, None): "a\ud800b/", (2, 1): "hé"}, model="gpt") is ODD
    assert chat.render({}, defaults={"temperature": 2}) is ODD


def test_only_the_replaced_bytes_change() -> None:
    out = parse(ODD).render({(2, 1): 'n "é"'}, model="other", defaults={"stop": ["\n"], "seed": 1})
    expected = (
        ODD.replace(b'"gp\\u0074"', b'"other"')
        .replace(b'"h\\u00e9"', '"n \\"é\\""'.encode())
        .replace(b"] }\n", b'] ,"stop":["\\n"]}\n')
    )
    assert out == expected


def test_a_lone_surrogate_is_written_as_an_escape() -> None:
    out = parse(ODD).render({(0, None): "\udfff é"})
    assert b'"\\udfff \\u00e9"' in out
    assert parse(out).texts[0, None].value == "\udfff é"


def test_a_surrogate_pair_beside_a_lone_one_is_read_as_one_character() -> None:
    body = (
        b'{"model":"m","messages":[{"role":"user","content":"\\ud83d\\ude00 \\ud800 \\\\ud800"}]}'
    )
    assert parse(body).texts[0, None].value == "\U0001f600 \ud800 \\ud800"


def test_the_last_of_duplicate_keys_counts_and_is_the_one_replaced() -> None:
    body = b'{"model":"a","model":"b","messages":[{"role":"user","content":"x","content":"y"}]}'
    chat = parse(body)
    assert (chat.model, chat.texts[0, None].value) == ("b", "y")
    assert chat.render({(0, None): "z"}) == body.replace(b'"y"', b'"z"')


def test_a_text_that_is_not_there_cannot_be_replaced() -> None:
    with pytest.raises(KeyError):
        parse(ODD).render({(1, None): "x"})


@pytest.mark.parametrize("literal,stream", [(b"true", True), (b"false", False), (b"null", False)])
def test_stream_is_read(literal: bytes, stream: bool) -> None:
    body = b'{"model":"m","messages":[{"role":"user"}],"stream":' + literal + b"}"
    assert parse(body).stream is stream


@pytest.mark.parametrize(
    "body,param,part",
    [
        (b"", None, "empty"),
        (b" \r\n", None, "empty"),
        (b"[]", None, "an array"),
        (b"null", None, "object"),
        (b"{}", "model", "missing"),
        (b'{"model":3}', "model", "a number"),
        (b'{"model":""}', "model", "empty"),
        (b'{"model":"m"}', "messages", "missing"),
        (b'{"model":"m","messages":{}}', "messages", "an object"),
        (b'{"model":"m","messages":[]}', "messages", "empty"),
        (b'{"model":"m","messages":[{"role":"u"},[]]}', "messages.1", "an array"),
        (b'{"model":"m","messages":[{}]}', "messages.0.role", "missing"),
        (b'{"model":"m","messages":[{"role":1}]}', "messages.0.role", "string"),
        (b'{"model":"m","messages":[{"role":"u","content":1}]}', "messages.0.content", "a number"),
        (
            b'{"model":"m","messages":[{"role":"u","content":["x"]}]}',
            "messages.0.content.0",
            "a string",
        ),
        (
            b'{"model":"m","messages":[{"role":"u","content":[{}]}]}',
            "messages.0.content.0.type",
            "string",
        ),
        (
            b'{"model":"m","messages":[{"role":"u","content":[{"type":"text","text":null}]}]}',
            "messages.0.content.0.text",
            "string",
        ),
        (b'{"model":"m","stream":"yes"}', "stream", "a string"),
    ],
)
def test_a_wrong_field_is_named(body: bytes, param: str | None, part: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse(body)
    assert caught.value.param == param
    assert part in caught.value.message


@pytest.mark.parametrize(
    "body,place",
    [
        (b'{"model":"m",\n "messages":[}', "line 2, column 14 (byte 27)"),
        (b'{"model":"m"', "line 1, column 13 (byte 12)"),
        ('{"é": tru}'.encode(), "line 1, column 8 (byte 8)"),
        (b'{"a":"\\ud800"', "line 1, column 14 (byte 13)"),
        (b'{"a":"x\xff"}', "UTF-8 at byte 7"),
    ],
)
def test_malformed_json_is_placed(body: bytes, place: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse(body)
    assert place in caught.value.message
    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 900, 100_000])
@pytest.mark.parametrize(
    "place", [b'{"model":"m","tools":%b}', b'{"model":"m","messages":[{"role":"u","x":%b}]}']
)
def test_deep_nesting_is_refused(opening: bytes, depth: int, place: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"
    body = place.replace(b"%b", opening * depth + b"1" + closing * depth)
    with pytest.raises(BadRequest, match=r"deep|missing"):
        parse(body)
    with pytest.raises(BadRequest):
        parse(opening * depth)


def test_brackets_within_strings_do_not_nest() -> None:
    tools = json.dumps([{"description": '[{"\\' * 1000}]).encode()
    body = b'{"model":"m","messages":[{"role":"user","content":"x"}],"tools":' + tools + b"}"
    assert parse(body).render({}) is body


def test_errors_hold_no_content() -> None:
    for body in (b'{"model":"m","messages":"SECRET"}', b'{"model":["SECRET"]}', b'{"m":SECRET}'):
        with pytest.raises(BadRequest) as caught:
            parse(body)
        assert "SECRET" not in caught.value.message
        assert caught.value.__cause__ is None


@given(requests, st.booleans(), st.sampled_from([None, 1]))
def test_rendering_changes_the_replaced_texts_and_nothing_else(
    request_: Any, ascii_only: bool, indent: int | None
) -> None:
    body = dumped(request_, ascii_only, indent)
    chat = parse(body)
    assert chat.render({}) is body
    assert chat.render({key: text.value for key, text in chat.texts.items()}) is body
    new = {key: text.value[::-1] + "\ud800!" for key, text in chat.texts.items()}
    expected = json.loads(body)
    for (message, part), text in new.items():
        target = expected["messages"][message]
        if part is None:
            target["content"] = text
        else:
            target["content"][part]["text"] = text
    expected |= {"model": "n", "added": [None]}
    rendered = chat.render(new, model="n", defaults={"added": [None], "temperature": 0})
    assert json.loads(rendered) == expected


@given(st.binary(max_size=60) | requests.map(lambda r: dumped(r, True, None)[:-7]))
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        parse(body)
