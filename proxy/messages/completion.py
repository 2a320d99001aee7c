"""A request of ``/v1/completions``: its prompt is a text, or a list of texts.

A prompt of token ids is left alone: it has no text, and the ids are of a vocabulary that only the
upstream knows for sure.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Raw

from proxy.messages.body import Chat, Message, Text
from proxy.messages.source import Source, check_depths, items, kind_of, model_of, read, stream_of


def parse_completion(body: bytes) -> Chat:
    """Read the body: every prompt is a message of the user. Raises BadRequest as ``parse`` does."""
    source, fields = read(body)
    model, stream = model_of(source, fields), stream_of(fields)
    check_depths(fields)
    return Chat(model, stream, _prompts(source, fields), fields, source)


def _prompts(source: Source, fields: Mapping[str, Raw]) -> tuple[Message, ...]:
    if "prompt" not in fields:
        return ()
    prompt = fields["prompt"]
    prompts = items(prompt, "prompt") if kind_of(prompt) == "an array" else [prompt]
    return tuple(
        Message(i, "user", (Text(None, raw, source),), fields)
        for i, raw in enumerate(prompts)
        if kind_of(raw) == "a string"
    )
