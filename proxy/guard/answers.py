"""What a model said, out of the bytes of its answer, whole or streamed. Knows nothing of HTTP.

The shapes of OpenAI's chat, completions and responses, and of Anthropic's messages. Of several
choices the first counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

# No other separators: words of the answer may hold those as they are.
_LINE_END = re.compile(r"\r\n|\n|\r")

Json = Mapping[str, Any]
Call = tuple[str, str]
"""A tool's name and its arguments as JSON in one spelling."""


@dataclass(frozen=True, slots=True)
class Said:
    """The text of an answer and the tools that it calls."""

    text: str = field(repr=False)
    calls: tuple[Call, ...] = field(default=(), repr=False)


def read(body: bytes) -> Said | None:
    """What an answer says; None if there is nothing in it to be compared."""
    text = body.decode("utf-8", "replace").lstrip()
    try:
        said = _of_events(_events(text)) if _is_stream(text) else _of_whole(json.loads(text))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None  # no answer that we know, such as one of another provider's
    return said if said.text.strip() or said.calls else None


def _is_stream(text: str) -> bool:
    return text.startswith(("data:", "event:", ":", "id:", "retry:"))


def _of_whole(answer: Json) -> Said:
    if "choices" in answer:
        choice = answer["choices"][0]
        if "message" not in choice:
            return Said(choice["text"])
        message = choice["message"]
        calls = [c["function"] for c in message.get("tool_calls") or () if "function" in c]
        return Said(
            message.get("content") or "", tuple(_call(c["name"], c["arguments"]) for c in calls)
        )
    if "output" in answer:
        return _of_items(answer["output"])
    blocks = answer["content"]
    text = "".join(b["text"] for b in blocks if b["type"] == "text")
    calls = [_call(b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"]
    return Said(text, tuple(calls))


def _of_items(items: list[Json]) -> Said:
    parts = [p for item in items if item["type"] == "message" for p in item["content"]]
    text = "".join(p["text"] for p in parts if p["type"] == "output_text")
    called = [item for item in items if item["type"] == "function_call"]
    return Said(text, tuple(_call(item["name"], item["arguments"]) for item in called))


def _events(text: str) -> Iterator[Json]:
    for line in _LINE_END.split(text):
        data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
        if data and data != "[DONE]":
            yield json.loads(data)


def _of_events(events: Iterator[Json]) -> Said:
    text: list[str] = []
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    for event in events:
        if event.get("type") == "response.completed":
            return _of_items(event["response"]["output"])
        for at, name, more, words in _pieces(event):
            names[at] = names.get(at, "") + name
            arguments[at] = arguments.get(at, "") + more
            text.append(words)
    calls = [_call(names[at], arguments[at]) for at in sorted(names) if names[at]]
    return Said("".join(text), tuple(calls))


def _pieces(event: Json) -> Iterator[tuple[int, str, str, str]]:
    """(index of a tool call, more of its name, more of its arguments, more of the text)."""
    for choice in event.get("choices") or ():
        if choice.get("index"):
            continue
        delta = choice.get("delta") or {}
        yield -1, "", "", choice.get("text") or delta.get("content") or ""
        for call in delta.get("tool_calls") or ():
            function = call.get("function") or {}
            name, more = function.get("name") or "", function.get("arguments") or ""
            yield call.get("index", 0), name, more, ""
    if event.get("type") == "content_block_start":
        block = event["content_block"]
        name = block["name"] if block["type"] == "tool_use" else ""
        yield event["index"], name, "", block.get("text") or ""
    elif event.get("type") == "content_block_delta":
        delta = event["delta"]
        yield event["index"], "", delta.get("partial_json") or "", delta.get("text") or ""


def _call(name: str, arguments: Any) -> Call:
    """Arguments that are the same JSON are the same, however they are written."""
    try:
        value = json.loads(arguments or "{}") if isinstance(arguments, str) else arguments
    except ValueError:
        return name, arguments
    return name, json.dumps(value, sort_keys=True)
