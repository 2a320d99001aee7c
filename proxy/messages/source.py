"""A JSON body as bytes and a view of them: find values without copying, splice what changes.

Nothing is re-serialised. Knows nothing of any request's shape but that it is an object with a
model and perhaps a stream.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
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


def read(body: bytes) -> tuple[Source, Mapping[str, Raw]]:
    """The top-level fields of a body. Raises BadRequest for what is no JSON object."""
    if not body.strip():
        refuse("The request body is empty; send a JSON object.")
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
        refuse(f"The request body must be a JSON object, not {kind}.", code="invalid_type")
    except msgspec.DecodeError as exc:
        raise _malformed(body, str(exc)) from None  # the cause adds nothing
    return Source(body, view), fields


def model_of(source: Source, fields: Mapping[str, Raw]) -> str:
    """The model's name. Raises BadRequest if there is none."""
    if "model" not in fields:
        refuse("'model' is missing; name the model to use.", "model", "missing_field")
    if kind_of(fields["model"]) != "a string":
        refuse(
            f"'model' must be a string, not {kind_of(fields['model'])}.", "model", "invalid_type"
        )
    model = source.string(fields["model"])
    if not model:
        refuse("'model' is empty; name the model to use.", "model", "invalid_value")
    return model


def stream_of(fields: Mapping[str, Raw]) -> bool:
    """Whether a stream is asked for. Raises BadRequest if that can't be told."""
    kind = kind_of(fields["stream"]) if "stream" in fields else "null"
    if kind not in ("true", "false", "null"):
        refuse(f"'stream' must be true or false, not {kind}.", "stream", "invalid_type")
    return kind == "true"


def objects(raw: Raw, where: str) -> list[dict[str, Raw]]:
    """The objects of an array; refuses anything else and names the item that is none."""
    if kind_of(raw) != "an array":
        refuse(f"'{where}' must be a list, not {kind_of(raw)}.", where, "invalid_type")
    try:
        return _OBJECTS.decode(raw)
    except RecursionError:
        _refuse_depth(where)
    except msgspec.ValidationError:
        kinds = [kind_of(item) for item in _ITEMS.decode(raw)]
        at = next(i for i, kind in enumerate(kinds) if kind != "an object")
        place = f"{where}.{at}"
        refuse(f"'{place}' must be an object, not {kinds[at]}.", place, "invalid_type")


def items(raw: Raw, where: str) -> list[Raw]:
    """The items of an array, whatever they are."""
    try:
        return _ITEMS.decode(raw)
    except RecursionError:
        _refuse_depth(where)


def _check_utf8(body: bytes) -> None:
    try:
        body.isascii() or body.decode()
    except UnicodeDecodeError as exc:
        raise BadRequest(
            f"The request body is not valid UTF-8 at byte {exc.start}.", code="invalid_json"
        ) from None  # the cause holds the body


def check_depths(fields: Mapping[str, Raw], where: str = "", *, but: str = "") -> None:
    """``check_depth`` of all fields of an object at that place, except those read on their own."""
    for name, raw in fields.items():
        if name != but:
            check_depth(raw, f"{where}.{name}" if where else name)


def check_depth(raw: Raw, where: str) -> None:
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
    refuse(f"{name} nests arrays and objects more than {MAX_DEPTH} deep.", where, "too_deep")


def refuse(message: str, param: str | None = None, code: str = "invalid_json") -> NoReturn:
    """Raise BadRequest. ``message`` must not hold content of the request."""
    raise BadRequest(message, code=code, param=param)


def kind_of(raw: Raw) -> str:
    """What a value is, as an error message says it: "a string", "null"."""
    first = chr(memoryview(raw)[0])
    return _KINDS.get(first) or ("null" if first == "n" else "a number")


def _address(buffer: bytes | Raw) -> int:
    """Where a buffer lies in memory.

    A Raw is a view of the body, so the difference of two addresses is its offset, which msgspec
    knows but does not tell.
    """
    address: int = np.frombuffer(buffer, np.uint8).__array_interface__["data"][0]
    return address


def encode(value: Any) -> bytes:
    """The value as JSON; a lone surrogate is written as an escape."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # lone surrogates
        return json.dumps(value).encode("ascii")


def splice(body: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """The body with ``(start, end, new)`` in place; the very object if there are no edits."""
    if not edits:
        return body
    pieces, at = [], 0
    for start, end, new in sorted(edits):
        pieces += [body[at:start], new]
        at = end
    return b"".join([*pieces, body[at:]])
