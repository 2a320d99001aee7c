"""Any other ``/v1/...`` request: forwarded with its model's own name, answered unchanged."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from proxy.api.forward import headers_for, path_for, query_for
from proxy.api.parts import Visit, read_body, visit
from proxy.errors import BadRequest, NotFound
from proxy.messages.source import encode, model_of, read, splice
from proxy.reply import Relay, visit_headers
from proxy.types import Span
from proxy.upstream import Call
from proxy.upstream.call import Render


class _Named(msgspec.Struct):
    model: str


_MODEL_FIELD = re.compile(
    rb"""(?i)\bname(?:[ \t]*=[ \t]*["']?|\*[ \t]*=[ \t]*[\w-]{0,20}'[\w-]{0,20}')model["']?"""
    rb"""[ \t]*(?:;[^\r\n]{0,200})?"""
    rb"""(?:\r?\n[^\r\n]{1,200}){0,8}\r?\n\r?\n([^\r\n]*)"""
)
"""The field ``model`` of a multipart form, such as an audio transcription's; bounded, so that time
stays linear in the body."""

_URLENCODED = "application/x-www-form-urlencoded"
_BOUNDARY = re.compile(r"""(?i)\bboundary=(?:"([^"]{1,200})"|([^\s;,]{1,200}))""")
_A_MODEL = re.compile(
    rb"""(?is)\r?\n(?:[^\r\n]{1,200}\r?\n){0,8}?content-disposition:[ \t]*form-data"""
    rb"""(?![^\r\n]*filename)[^\r\n]{0,200};[ \t]*name="?model"?[ \t]*(?:;[^\r\n]{0,200})?"""
    rb"""(?:\r?\n[^\r\n]{1,200}){0,8}\r?\n\r?\n([^\r\n]*)\r?\n"""
)
"""A part of a form from the end of the line with the boundary on, if it is the field ``model``."""

_ODD_SEGMENT = re.compile(r"//|/\.{1,2}(?:/|$)")
"""Some upstreams resolve such paths, and then they are a way around our own routes."""


async def pass_through(request: Request) -> Response:
    """Embeddings, files, images, ...: to the entry of the body's model, else to the first one.

    A tenant with an allow-list may only name models that are on it.
    """
    now = visit(request)
    if _ODD_SEGMENT.search(request.url.path):
        raise HTTPException(404)
    body = await read_body(now)
    models = _models_in(request, body)
    if now.tenant:
        for model in (*models, *request.query_params.getlist("model")):
            now.tenant.may_use(model)
    call = Call(
        method=request.method,
        path=path_for(request),
        query=query_for(request),
        headers=headers_for(now),
        body=body,
        model=models[-1] if models else "",
        stream=False,
        render=_renaming(now, models[-1], body) if models else None,
    )
    started = time.perf_counter()
    answer = await now.parts.pool.forward(call)
    now.upstream = time.perf_counter() - started
    return Relay(answer, visit_headers(now.id, now.overhead_ms()))


def _renaming(visit: Visit, model: str, body: bytes) -> Render | None:
    """How to write the provider's name of the model over the public one, and nothing else.

    None for a model that is not in ``model_list``: the first entry gets its name as it came. So
    does everybody a body that we can't read: the upstream will say what is wrong.
    """
    try:
        visit.parts.entries.find(model)
        form = _form_field(visit.request, body)
        written: Callable[[str], bytes] = str.encode if form else encode
        start, end = form or _json_field(body)
    except (NotFound, BadRequest):
        return None

    def renamed(name: str, _: Mapping[str, Any]) -> bytes:
        return splice(body, [(start, end, written(name))] if name != model else [])

    return renamed


def _json_field(body: bytes) -> Span:
    """Where the model's name stands. Raises BadRequest for what is no JSON object with one."""
    source, fields = read(body)
    model_of(source, fields)
    return source.span(fields["model"])


def _form_field(request: Request, body: bytes) -> Span | None:
    """Where the model's name stands in a multipart form; None if it is none, or has several."""
    boundary = _BOUNDARY.search(_form_type(request))
    if boundary is None:
        return None
    line = b"--" + (boundary[1] or boundary[2]).encode("latin-1")
    found: list[Span] = []
    at = body.find(line)
    while at >= 0:
        if part := _A_MODEL.match(body, at + len(line)):
            found.append(part.span(1))
        at = body.find(line, at + len(line))
    return found[0] if len(found) == 1 else None


def _form_type(request: Request) -> str:
    """The content type of a multipart form, empty for anything else."""
    kind = request.headers.get("content-type", "")
    return kind if kind.lower().startswith("multipart/") else ""


async def wrong_method(request: Request) -> Response:
    """Answers 405, as the router does: one of our own paths, with a method it does not have."""
    path = request.url.path.rstrip("/")
    if path.endswith("/chat/completions"):
        allowed = "GET, POST"
    else:
        allowed = "GET" if path.startswith(("/v1/models", "/v1/receipts")) else "POST"
    raise HTTPException(405, headers={"Allow": allowed})


def _models_in(request: Request, body: bytes) -> list[str]:
    """The models that a body names, whatever its content type says: allow-lists go by them."""
    if _form_type(request):
        return [name.decode(errors="replace") for name in _MODEL_FIELD.findall(body)]
    if b"{" not in body.lstrip()[:8]:  # a byte order mark may stand before it
        return _models_in_urlencoded(request, body)
    try:
        return [msgspec.json.decode(body, type=_Named).model]
    except msgspec.DecodeError:
        return _models_in_odd(body)


def _models_in_urlencoded(request: Request, body: bytes) -> list[str]:
    """The same for the other form; curl says of everything that it is one, also of JSON."""
    if not request.headers.get("content-type", "").lower().startswith(_URLENCODED):
        return []
    fields = parse_qsl(body.decode(errors="replace"))
    return [value for name, value in fields if name == "model"]


def _models_in_odd(body: bytes) -> list[str]:
    """The same by a reader that takes all that upstreams take: surrogates, other encodings."""
    try:
        named = json.loads(body)
    except (ValueError, RecursionError):
        return []  # not ours to judge: the upstream will say what is wrong with it
    model = named.get("model") if isinstance(named, dict) else None
    return [model] if isinstance(model, str) else []
