"""The bodies that providers answer with, OpenAI's and Anthropic's, whole and as streams."""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tests.servers.responses import response, response_events

if TYPE_CHECKING:
    from tests.servers.recorder import Reply

Json = dict[str, Any]
USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
CREATED = 1_700_000_000


def usual(method: str, path: str, asked: Json, reply: Reply) -> tuple[list[bytes], str]:
    """What a good provider answers: the pieces of the body, and its content type."""
    streams = asked.get("stream") is True
    if path.endswith("/chat/completions"):
        said = _structured(asked) or reply.content
        if streams:
            return [_event(e) for e in _chat_events(asked, said, reply)] + [DONE], EVENTS
        return [_json(_chat(asked, said, reply))], JSON
    if path.endswith("/responses"):
        if streams:
            return [_named_event(e) for e in response_events(asked, reply)], EVENTS
        return [_json(response(asked, reply))], JSON
    if path.endswith("/completions"):
        if streams:
            return [_event(e) for e in _completion_events(asked, reply)] + [DONE], EVENTS
        return [_json(_completion(asked, reply))], JSON
    if path.endswith("/messages"):
        if streams:
            return [_named_event(e) for e in _anthropic_events(asked, reply)], EVENTS
        return [_json(_anthropic(asked, reply))], JSON
    other = _others(method, path, asked, reply)
    return [_json(other)], JSON


JSON = "application/json"
EVENTS = "text/event-stream; charset=utf-8"
DONE = b"data: [DONE]\n\n"


def error(status: int) -> Json:
    """OpenAI's body for a refusal."""
    return {
        "error": {
            "message": f"Scripted refusal {status}.",
            "type": "scripted_error",
            "param": None,
            "code": f"scripted_{status}",
        }
    }


def _chat(asked: Json, said: str, reply: Reply) -> Json:
    message: Json = {"role": "assistant", "content": said, "refusal": None}
    if reply.tool_calls:
        message |= {"content": None, "tool_calls": _tool_calls(reply)}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(reply)}
    return _head(asked, "chat.completion") | {"choices": [choice], "usage": USAGE}


def _chat_events(asked: Json, said: str, reply: Reply) -> Iterator[Json]:
    def event(delta: Json, finish: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _head(asked, "chat.completion.chunk") | {"choices": [choice]}

    yield event({"role": "assistant", "content": ""})
    if reply.tool_calls:
        calls = [{"index": i, **call} for i, call in enumerate(_tool_calls(reply))]
        yield event({"tool_calls": calls})
    else:
        for word in _words(said):
            yield event({"content": word})
    yield event({}, _finish(reply))
    if (asked.get("stream_options") or {}).get("include_usage"):
        yield _head(asked, "chat.completion.chunk") | {"choices": [], "usage": USAGE}


def _head(asked: Json, kind: str) -> Json:
    model = asked.get("model", "none")
    return {"id": "chatcmpl-1", "object": kind, "created": CREATED, "model": model}


def _finish(reply: Reply) -> str:
    return "tool_calls" if reply.tool_calls else "stop"


def _tool_calls(reply: Reply) -> list[Json]:
    return [
        {
            "id": f"call_{i}",
            "type": "function",
            "function": {"name": call["name"], "arguments": json.dumps(call["arguments"])},
        }
        for i, call in enumerate(reply.tool_calls or ())
    ]


def _structured(asked: Json) -> str | None:
    """JSON that fits the ``response_format``, if there is one."""
    wanted = asked.get("response_format") or {}
    if wanted.get("type") == "json_object":
        return json.dumps({"ok": True})
    if wanted.get("type") == "json_schema":
        schema = wanted["json_schema"]["schema"]
        return json.dumps(_example(schema, schema.get("$defs", {})))
    return None


def _example(schema: Json, defs: Json) -> Any:
    """The simplest value that a JSON schema takes."""
    if "$ref" in schema:
        return _example(defs[schema["$ref"].rsplit("/", 1)[-1]], defs)
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    if "anyOf" in schema:
        return _example(schema["anyOf"][0], defs)
    if schema.get("type") == "object":
        return {k: _example(v, defs) for k, v in schema.get("properties", {}).items()}
    if schema.get("type") == "array":
        return [_example(schema.get("items", {}), defs)]
    return {"string": "text", "integer": 1, "number": 1.5, "boolean": True}.get(
        schema.get("type", "null")
    )


def _others(method: str, path: str, asked: Json, reply: Reply) -> Json:
    if path.endswith("/models") and method == "GET":
        model = {"id": "recorded-model", "object": "model", "created": CREATED, "owned_by": "x"}
        return {"object": "list", "data": [model]}
    if path.endswith("/embeddings"):
        return _embeddings(asked)
    if path.endswith("/messages/count_tokens"):
        return {"input_tokens": 11}
    return {"object": "recorded", "method": method, "path": path}


def _completion(asked: Json, reply: Reply, text: str = "", finish: str | None = "stop") -> Json:
    choice = {"index": 0, "text": text or reply.content, "logprobs": None, "finish_reason": finish}
    return _head(asked, "text_completion") | {"choices": [choice], "usage": USAGE}


def _completion_events(asked: Json, reply: Reply) -> Iterator[Json]:
    words = _words(reply.content)
    for number, word in enumerate(words, start=1):
        yield _completion(asked, reply, word, "stop" if number == len(words) else None)


def _embeddings(asked: Json) -> Json:
    texts = asked.get("input", "")
    vector: list[float] = [0.25, -0.5, 1.0]
    packed = base64.b64encode(struct.pack("<3f", *vector)).decode()
    given = packed if asked.get("encoding_format") == "base64" else vector
    count = len(texts) if isinstance(texts, list) else 1
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": i, "embedding": given} for i in range(count)],
        "model": asked.get("model", "none"),
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }


def _anthropic(asked: Json, reply: Reply) -> Json:
    content: list[Json] = [{"type": "text", "text": reply.content}]
    if reply.tool_calls:
        content = [
            {"type": "tool_use", "id": f"toolu_{i}", "name": c["name"], "input": c["arguments"]}
            for i, c in enumerate(reply.tool_calls)
        ]
    return _anthropic_head(asked) | {
        "content": content,
        "stop_reason": "tool_use" if reply.tool_calls else "end_turn",
        "usage": {"input_tokens": 11, "output_tokens": 5},
    }


def _anthropic_head(asked: Json) -> Json:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": asked.get("model", "none"),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 11, "output_tokens": 1},
    }


def _anthropic_events(asked: Json, reply: Reply) -> Iterator[Json]:
    yield {"type": "message_start", "message": _anthropic_head(asked)}
    calls = reply.tool_calls or ()
    if not calls:
        yield from _block(
            0, {"type": "text", "text": ""}, "text_delta", "text", _words(reply.content)
        )
    for i, call in enumerate(calls):
        block = {"type": "tool_use", "id": f"toolu_{i}", "name": call["name"], "input": {}}
        pieces = [json.dumps(call["arguments"])]
        yield from _block(i, block, "input_json_delta", "partial_json", pieces)
    stop = {"stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": {"output_tokens": 5}}
    yield {"type": "message_stop"}


def _block(index: int, block: Json, kind: str, field: str, pieces: list[str]) -> Iterator[Json]:
    yield {"type": "content_block_start", "index": index, "content_block": block}
    for piece in pieces:
        delta = {"type": kind, field: piece}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def _words(text: str) -> list[str]:
    """Its words with the white space after them; joined they are the text."""
    return re.findall(r"\s*\S+\s*?|\s+$", text)


def _json(value: Json) -> bytes:
    return json.dumps(value).encode()


def _event(value: Json) -> bytes:
    return b"data: " + _json(value) + b"\n\n"


def _named_event(value: Json) -> bytes:
    return f"event: {value['type']}\n".encode() + _event(value)
