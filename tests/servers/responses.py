"""What OpenAI's ``/responses`` answers with, whole and as a stream."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.servers.recorder import Reply

Json = dict[str, Any]
USAGE: Json = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 16,
}


def response(asked: Json, reply: Reply) -> Json:
    """A response with one message, or with the calls of the script."""
    return _head(asked, "completed") | {"output": _output(reply), "usage": USAGE}


def response_events(asked: Json, reply: Reply) -> Iterator[Json]:
    """The same as events, numbered."""
    for number, event in enumerate(_events(asked, reply)):
        yield event | {"sequence_number": number}


def _events(asked: Json, reply: Reply) -> Iterator[Json]:
    yield {"type": "response.created", "response": _head(asked, "in_progress")}
    for index, item in enumerate(_output(reply)):
        place = {"output_index": index, "item_id": item["id"]}
        said = item["type"] == "message"
        empty = item | ({"content": []} if said else {"arguments": ""})
        yield {"type": "response.output_item.added", "output_index": index, "item": empty}
        yield from _message(place, reply.content) if said else _call(place, item["arguments"])
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": "response.completed", "response": response(asked, reply)}


def _message(place: Json, text: str) -> Iterator[Json]:
    place = place | {"content_index": 0}
    yield {"type": "response.content_part.added", **place, "part": _part("")}
    for word in re.findall(r"\s*\S+", text):
        yield {"type": "response.output_text.delta", **place, "delta": word, "logprobs": []}
    yield {"type": "response.output_text.done", **place, "text": text, "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": _part(text)}


def _call(place: Json, arguments: str) -> Iterator[Json]:
    yield {"type": "response.function_call_arguments.delta", **place, "delta": arguments}
    yield {"type": "response.function_call_arguments.done", **place, "arguments": arguments}


def _output(reply: Reply) -> list[Json]:
    calls = [
        {
            "type": "function_call",
            "id": f"fc_{i}",
            "call_id": f"call_{i}",
            "name": call["name"],
            "arguments": json.dumps(call["arguments"]),
            "status": "completed",
        }
        for i, call in enumerate(reply.tool_calls or ())
    ]
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
    return calls or [message | {"content": [_part(reply.content)]}]


def _part(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _head(asked: Json, status: str) -> Json:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": asked.get("instructions"),
        "metadata": {},
        "model": asked.get("model", "none"),
        "output": [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": asked.get("tools", []),
        "top_p": 1.0,
    }
