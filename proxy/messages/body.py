"""A chat request as bytes and a view of them: read what matters, splice what changes.

Nothing is re-serialised: ``render`` puts new strings where old ones stood and leaves every other
byte alone. Knows nothing about policies or HTTP.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, NoReturn

import msgspec
import numpy as np
from msgspec import Raw

from proxy.errors import BadRequest
from proxy.types import Span

MAX_DEPTH = 128
"""Nested arrays and objects beyond which a body is refused; JSON schemas of tools need some 30."""

_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_OBJECTS = msgspec.json.Decoder(list[dict[str, Raw]])
_ITEMS = msgspec.json.Decoder(list[Raw])
_STRING = msgspec.json.Decoder(str)

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_AT_BYTE = re.compile(r" \(byte (\d+)\)$")
_NOT_BRACKETS = bytes(set(range(256)) - set(b'"[]{}'))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_KINDS = {"{": "an object", "[": "an array", '"': "a string", "t": "true", "f": "false"}
_ROLES = {b'"%b"' % role.encode(): role for role in ("system", "user", "assistant", "tool")}
_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Source:
    """The body, and the buffer that the parsed values are views of.

    Both are the same object unless the body holds surrogate escapes, which msgspec refuses: then
    ``view`` is a copy with those masked at equal length, so that offsets hold for both.
    """

    body: bytes = field(repr=False)
    view: bytes = field(repr=False)

    @cached_property
    def base(self) -> int:
        """The address of the first byte of the view."""
        return _address(self.view)

    def span(self, raw: Raw) -> Span:
        """``[start, end)`` of a value, in bytes of the body."""
        start = _address(raw) - self.base
        return start, start + len(memoryview(raw))

    def string(self, raw: Raw) -> str:
        """A JSON string decoded from the body itself; lone surrogates survive."""
        start, end = self.span(raw)
        literal = self.body[start:end]
        try:
            return _STRING.decode(literal)
        except msgspec.DecodeError:  # lone surrogates: the standard library takes them
            decoded: str = json.loads(literal)
            return decoded


@dataclass(frozen=True)
class Text:
    """One text of a message: its content, or one of its ``text`` parts."""

    part: int | None
    """Index in the message's list of parts; ``None`` where the content is a plain string."""
    raw: Raw = field(repr=False)
    source: Source = field(repr=False)

    @cached_property
    def value(self) -> str:
        """The decoded text. Decoded on first use: most requests are forwarded unread."""
        return self.source.string(self.raw)


@dataclass(frozen=True)
class Message:
    """One message: its role, its texts, and all its fields as they came."""

    role: str
    texts: tuple[Text, ...]
    fields: Mapping[str, Raw] = field(repr=False)


@dataclass(frozen=True)
class Chat:
    """A chat-completions request. ``fields`` are its top-level fields as they came."""

    model: str
    stream: bool
    messages: tuple[Message, ...]
    fields: Mapping[str, Raw] = field(repr=False)
    source: Source = field(repr=False)

    @property
    def body(self) -> bytes:
        """The request as it came."""
        return self.source.body

    @cached_property
    def texts(self) -> Mapping[tuple[int, int | None], Text]:
        """Every text by (index of the message, index of the part or ``None``)."""
        return {(i, t.part): t for i, m in enumerate(self.messages) for t in m.texts}

    def render(
        self,
        texts: Mapping[tuple[int, int | None], str],
        *,
        model: str | None = None,
        defaults: Mapping[str, Any] = _NONE,
    ) -> bytes:
        """The body with these texts, this model's name and the absent ones of these fields.

        Every other byte stays, white space and number formats included. The original object is
        returned if nothing differs. Raises KeyError for a text that the request does not have.
        """
        edits = [
            (*self.source.span(text.raw), _encode(new))
            for text, new in ((self.texts[key], new) for key, new in texts.items())
            if new != text.value
        ]
        if model is not None and model != self.model:
            edits.append((*self.source.span(self.fields["model"]), _encode(model)))
        absent = [name for name in defaults if name not in self.fields]
        if absent:
            end = self.body.rindex(b"}")
            added = b"".join(b",%b:%b" % (_encode(n), _encode(defaults[n])) for n in absent)
            edits.append((end, end, added))
        return _splice(self.body, edits)


def parse(body: bytes) -> Chat:
    """Read a chat-completions body.

    Raises BadRequest, with the place but no content in its message, for what is not JSON, nests
    more than MAX_DEPTH deep, or lacks a model or a list of messages of the documented types.
    Fields that are not needed here are not judged: they are the upstream's business.
    """
    source, fields = _read(body)
    model = _model(source, fields)
    stream = _stream(fields)
    messages = _messages(source, fields)
    for name, raw in fields.items():
        if name != "messages":
            _check_depth(raw, name)
    return Chat(model, stream, messages, fields, source)


def _read(body: bytes) -> tuple[Source, Mapping[str, Raw]]:
    if not body.strip():
        _refuse("The request body is empty; send a JSON object with 'model' and 'messages'.")
    _check_utf8(body)
    view = body
    try:
        try:
            fields = _OBJECT.decode(body)
        except msgspec.DecodeError:
            view = _SURROGATE.sub(rb"\\ufffd", body)
            fields = _OBJECT.decode(view)
    except RecursionError:
        _refuse_depth(None)
    except msgspec.ValidationError:
        kind = _KINDS.get(body.lstrip()[:1].decode(), "a number or null")
        _refuse(f"The request body must be a JSON object, not {kind}.", code="invalid_type")
    except msgspec.DecodeError as exc:
        raise _malformed(body, str(exc)) from None  # the cause adds nothing
    return Source(body, view), fields


def _model(source: Source, fields: Mapping[str, Raw]) -> str:
    if "model" not in fields:
        _refuse("'model' is missing; name the model to use.", "model", "missing_field")
    if _kind(fields["model"]) != "a string":
        _refuse(f"'model' must be a string, not {_kind(fields['model'])}.", "model", "invalid_type")
    model = source.string(fields["model"])
    if not model:
        _refuse("'model' is empty; name the model to use.", "model", "invalid_value")
    return model


def _stream(fields: Mapping[str, Raw]) -> bool:
    kind = _kind(fields["stream"]) if "stream" in fields else "null"
    if kind not in ("true", "false", "null"):
        _refuse(f"'stream' must be true or false, not {kind}.", "stream", "invalid_type")
    return kind == "true"


def _messages(source: Source, fields: Mapping[str, Raw]) -> tuple[Message, ...]:
    if "messages" not in fields:
        _refuse("'messages' is missing; send a list of messages.", "messages", "missing_field")
    messages = _objects(fields["messages"], "messages")
    if not messages:
        _refuse("'messages' is empty; send at least one.", "messages", "empty_array")
    return tuple(_message(source, i, message) for i, message in enumerate(messages))


def _message(source: Source, index: int, fields: Mapping[str, Raw]) -> Message:
    where = f"messages.{index}"
    for name, raw in fields.items():
        if name != "content":
            _check_depth(raw, f"{where}.{name}")
    if "role" not in fields:
        _refuse(f"'{where}.role' is missing.", f"{where}.role", "missing_field")
    if _kind(fields["role"]) != "a string":
        _refuse(f"'{where}.role' must be a string.", f"{where}.role", "invalid_type")
    texts = _texts(source, fields["content"], f"{where}.content") if "content" in fields else ()
    role = _ROLES.get(bytes(fields["role"])) or source.string(fields["role"])
    return Message(role, texts, fields)


def _texts(source: Source, content: Raw, where: str) -> tuple[Text, ...]:
    kind = _kind(content)
    if kind == "null":
        return ()
    if kind == "a string":
        return (Text(None, content, source),)
    if kind != "an array":
        _refuse(
            f"'{where}' must be a string, a list of parts or null, not {kind}.",
            where,
            "invalid_type",
        )
    parts = enumerate(_objects(content, where))
    return tuple(Text(i, p["text"], source) for i, p in parts if _is_text(p, f"{where}.{i}"))


def _is_text(part: Mapping[str, Raw], where: str) -> bool:
    """Whether a part is a text; refuses a part without a type, and a text part without text."""
    for name, raw in part.items():
        _check_depth(raw, f"{where}.{name}")
    if "type" not in part or _kind(part["type"]) != "a string":
        _refuse(f"'{where}.type' must be a string.", f"{where}.type", "invalid_type")
    if bytes(part["type"]) != b'"text"':
        return False
    if "text" not in part or _kind(part["text"]) != "a string":
        _refuse(f"'{where}.text' must be a string.", f"{where}.text", "invalid_type")
    return True


def _objects(raw: Raw, where: str) -> list[dict[str, Raw]]:
    """The objects of an array; refuses anything else and names the item that is none."""
    if _kind(raw) != "an array":
        _refuse(f"'{where}' must be a list, not {_kind(raw)}.", where, "invalid_type")
    try:
        return _OBJECTS.decode(raw)
    except RecursionError:
        _refuse_depth(where)
    except msgspec.ValidationError:
        kinds = [_kind(item) for item in _ITEMS.decode(raw)]
        at = next(i for i, kind in enumerate(kinds) if kind != "an object")
        place = f"{where}.{at}"
        _refuse(f"'{place}' must be an object, not {kinds[at]}.", place, "invalid_type")


def _check_utf8(body: bytes) -> None:
    try:
        body.isascii() or body.decode()
    except UnicodeDecodeError as exc:
        raise BadRequest(
            f"The request body is not valid UTF-8 at byte {exc.start}.", code="invalid_json"
        ) from None  # the cause holds the body


def _check_depth(raw: Raw, where: str) -> None:
    """Refuse a value nested too deep. Strings, where nearly all bytes are, cost nothing."""
    if memoryview(raw)[0] not in b"[{":
        return
    value = bytes(raw)
    if value.count(b"[") + value.count(b"{") <= MAX_DEPTH:
        return
    bare = value.replace(rb"\\", b"").replace(rb"\"", b"").translate(None, _NOT_BRACKETS)
    depth = 0
    for bracket in b"".join(bare.split(b'"')[::2]):
        depth += _STEP[bracket]
        if depth > MAX_DEPTH:
            _refuse_depth(where)


def _malformed(body: bytes, problem: str) -> BadRequest:
    at = _AT_BYTE.search(problem)
    offset = int(at[1]) if at else len(body)
    what = problem[: at.start()].removeprefix("JSON is malformed: ") if at else "it ends too early"
    before = body[:offset].decode(errors="replace")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    place = f"line {line}, column {column} (byte {offset})"
    return BadRequest(
        f"The request body is not valid JSON: {what} at {place}.", code="invalid_json"
    )


def _refuse_depth(where: str | None) -> NoReturn:
    name = f"'{where}'" if where else "The request body"
    _refuse(f"{name} nests arrays and objects more than {MAX_DEPTH} deep.", where, "too_deep")


def _refuse(message: str, param: str | None = None, code: str = "invalid_json") -> NoReturn:
    raise BadRequest(message, code=code, param=param)


def _kind(raw: Raw) -> str:
    first = chr(memoryview(raw)[0])
    return _KINDS.get(first) or ("null" if first == "n" else "a number")


def _address(buffer: bytes | Raw) -> int:
    """Where a buffer lies in memory.

    A Raw is a view of the body, so the difference of two addresses is its offset, which msgspec
    knows but does not tell.
    """
    address: int = np.frombuffer(buffer, np.uint8).__array_interface__["data"][0]
    return address


def _encode(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # lone surrogates
        return json.dumps(value).encode("ascii")


def _splice(body: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    if not edits:
        return body
    pieces, at = [], 0
    for start, end, new in sorted(edits):
        pieces += [body[at:start], new]
        at = end
    return b"".join([*pieces, body[at:]])
