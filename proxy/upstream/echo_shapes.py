"""What ``echo`` answers to each shape of request, whole and as a stream. Pure."""

from __future__ import annotations

import json
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

PIECE = 64
"""Characters in one chunk of a stream, at least."""
PIECES = 100
"""Chunks in a stream, about at most."""

Json = dict[str, Any]
Count = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Echoed(ABC):
    """One request that is answered with its own texts. ``body`` is what would have been sent."""

    body: Json = field(repr=False)
    model: str
    count: Count
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))

    @abstractmethod
    def texts(self) -> Iterator[str]:
        """The texts of the request, in order."""

    @abstractmethod
    def whole(self) -> Json:
        """The answer, with the body as its extra field ``echo``."""

    @abstractmethod
    def events(self) -> Iterator[bytes]:
        """The answer as a stream; its last event that says anything has ``echo``."""

    @property
    def text(self) -> str:
        """All texts, with empty lines between."""
        return "\n\n".join(self.texts())

    def pieces(self) -> Iterator[str]:
        """The text in chunks."""
        size = max(PIECE, len(self.text) // PIECES)
        return (self.text[start : start + size] for start in range(0, len(self.text), size))


class Chat(Echoed):
    """``/chat/completions``."""

    def texts(self) -> Iterator[str]:
        for message in self.body["messages"]:
            yield from _texts(message.get("content"))

    def whole(self) -> Json:
        message = {"role": "assistant", "content": self.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        more = {"choices": [choice], "echo": self.body, "usage": _usage(self)}
        return self._head("chat.completion") | more

    def events(self) -> Iterator[bytes]:
        yield self._event({"role": "assistant", "content": ""}, None)
        for piece in self.pieces():
            yield self._event({"content": piece}, None)
        yield self._event({}, "stop", echo=self.body)
        if (self.body.get("stream_options") or {}).get("include_usage"):
            head = self._head("chat.completion.chunk")
            yield event(head | {"choices": [], "usage": _usage(self)})
        yield _DONE

    def _head(self, kind: str) -> Json:
        head = {"id": f"chatcmpl-{self.id}", "object": kind}
        return head | {"created": self.created, "model": self.model}

    def _event(self, delta: dict[str, str], finish: str | None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return event(self._head("chat.completion.chunk") | {"choices": [choice]} | more)


class Completion(Echoed):
    """``/completions``: a choice for each prompt that is a text."""

    def texts(self) -> Iterator[str]:
        prompt = self.body.get("prompt")
        prompts = prompt if isinstance(prompt, list) else [prompt]
        yield from (text for text in prompts if isinstance(text, str))

    def whole(self) -> Json:
        choices = [_choice(i, text, "stop") for i, text in enumerate(self.texts())]
        return self._head(choices) | {"echo": self.body, "usage": _usage(self)}

    def events(self) -> Iterator[bytes]:
        texts = list(self.texts())
        for i, text in enumerate(texts):
            yield event(self._head([_choice(i, text, None)]))
        ends = [_choice(i, "", "stop") for i in range(len(texts))]
        yield event(self._head(ends) | {"echo": self.body, "usage": _usage(self)})
        yield _DONE

    def _head(self, choices: list[Json]) -> Json:
        head = {"id": f"cmpl-{self.id}", "object": "text_completion", "created": self.created}
        return head | {"model": self.model, "choices": choices}


class Response(Echoed):
    """``/responses``: one message of the assistant's."""

    def texts(self) -> Iterator[str]:
        yield from _texts(self.body.get("instructions"))
        given = self.body.get("input")
        for item in given if isinstance(given, list) else [{"content": given}]:
            yield from _texts(item.get("content", item.get("output")))

    def whole(self) -> Json:
        tokens = self.count(self.text)
        details = {"input_tokens_details": {"cached_tokens": 0}}
        details |= {"output_tokens_details": {"reasoning_tokens": 0}}
        usage = {"input_tokens": tokens, "output_tokens": tokens, "total_tokens": 2 * tokens}
        more = {"output": [self._item("completed")], "echo": self.body, "usage": usage | details}
        return self._head("completed") | more

    def events(self) -> Iterator[bytes]:
        for number, sent in enumerate(self._events()):
            yield event(sent | {"sequence_number": number}, sent["type"])

    def _events(self) -> Iterator[Json]:
        item, part = self._item("completed"), self._part(self.text)
        place = {"output_index": 0, "item_id": item["id"], "content_index": 0}
        head = self._head("in_progress") | {"output": []}
        yield {"type": "response.created", "response": head}
        yield {"type": "response.in_progress", "response": head}
        empty = item | {"status": "in_progress", "content": []}
        yield {"type": "response.output_item.added", "output_index": 0, "item": empty}
        yield {"type": "response.content_part.added", **place, "part": self._part("")}
        for piece in self.pieces():
            yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
        yield {"type": "response.output_text.done", **place, "text": self.text, "logprobs": []}
        yield {"type": "response.content_part.done", **place, "part": part}
        yield {"type": "response.output_item.done", "output_index": 0, "item": item}
        yield {"type": "response.completed", "response": self.whole()}

    def _head(self, status: str) -> Json:
        known: Json = {"instructions": None, "metadata": {}, "tools": [], "tool_choice": "auto"}
        known |= {"parallel_tool_calls": True, "temperature": None, "top_p": None}
        asked = {name: self.body.get(name, value) for name, value in known.items()}
        head = {"id": f"resp_{self.id}", "object": "response", "created_at": self.created}
        more = {"status": status, "error": None, "incomplete_details": None, "model": self.model}
        return head | more | asked

    def _item(self, status: str) -> Json:
        item = {"type": "message", "id": f"msg_{self.id}", "status": status, "role": "assistant"}
        return item | {"content": [self._part(self.text)]}

    def _part(self, text: str) -> Json:
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


class Message(Echoed):
    """Anthropic's ``/messages``."""

    def texts(self) -> Iterator[str]:
        yield from _texts(self.body.get("system"))
        for message in self.body["messages"]:
            yield from _texts(message.get("content"))

    def whole(self) -> Json:
        content = [{"type": "text", "text": self.text}]
        return self._head("end_turn", content) | {"echo": self.body}

    def events(self) -> Iterator[bytes]:
        for sent in self._events():
            yield event(sent, sent["type"])

    def _events(self) -> Iterator[Json]:
        block = {"type": "text", "text": ""}
        yield {"type": "message_start", "message": self._head(None, [])}
        yield {"type": "content_block_start", "index": 0, "content_block": block}
        for piece in self.pieces():
            delta = {"type": "text_delta", "text": piece}
            yield {"type": "content_block_delta", "index": 0, "delta": delta}
        yield {"type": "content_block_stop", "index": 0}
        end = {"stop_reason": "end_turn", "stop_sequence": None}
        usage = {"output_tokens": self.count(self.text)}
        yield {"type": "message_delta", "delta": end, "echo": self.body, "usage": usage}
        yield {"type": "message_stop"}

    def _head(self, stop: str | None, content: list[Json]) -> Json:
        tokens = self.count(self.text)
        usage = {"input_tokens": tokens, "output_tokens": tokens if content else 0}
        head = {"id": f"msg_{self.id}", "type": "message", "role": "assistant"}
        more = {"stop_reason": stop, "stop_sequence": None, "usage": usage}
        return head | {"model": self.model, "content": content} | more


class Tokens(Message):
    """Anthropic's ``/messages/count_tokens``."""

    def whole(self) -> Json:
        return {"input_tokens": self.count(self.text), "echo": self.body}


SHAPES: dict[str, type[Echoed]] = {
    "/chat/completions": Chat,
    "/completions": Completion,
    "/responses": Response,
    "/messages": Message,
    "/messages/count_tokens": Tokens,
}
_DONE = b"data: [DONE]\n\n"


def event(value: Json, name: str = "") -> bytes:
    """One event of a stream; only some protocols name theirs."""
    named = f"event: {name}\n".encode() if name else b""
    return named + b"data: " + encode(value) + b"\n\n"


def encode(value: Json) -> bytes:
    """In ASCII, so that lone surrogates come through as they went in."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def _usage(echoed: Echoed) -> dict[str, int]:
    # The answer says what was asked, so both sides count the same.
    tokens = echoed.count(echoed.text)
    return {"prompt_tokens": tokens, "completion_tokens": tokens, "total_tokens": 2 * tokens}


def _choice(index: int, text: str, finish: str | None) -> Json:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish}


def _texts(content: Any) -> Iterator[str]:
    """The texts of a content, those in the results of tools too."""
    if isinstance(content, str):
        yield content
        return
    for part in content or ():
        if part.get("type") in ("text", "input_text"):
            yield part["text"]
        elif part.get("type") == "tool_result":
            yield from _texts(part.get("content"))
